// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace ferrule::factor {

/// c = a * b for row-major matrices: c is m x n, a is m x k, b is k x n, rows `*_stride` elements
/// apart. Uses the vector instructions that the processor has.
void multiply(const double* a, std::size_t a_stride, const double* b, std::size_t b_stride,
              double* c, std::size_t c_stride, std::size_t m, std::size_t k, std::size_t n);

void multiply(const float* a, std::size_t a_stride, const float* b, std::size_t b_stride, float* c,
              std::size_t c_stride, std::size_t m, std::size_t k, std::size_t n);

/// c += a * b.
void add_multiplied(const float* a, std::size_t a_stride, const float* b, std::size_t b_stride,
                    float* c, std::size_t c_stride, std::size_t m, std::size_t k, std::size_t n);

/// c += a^T * b, where a is k x m.
void add_transposed(const float* a, std::size_t a_stride, const float* b, std::size_t b_stride,
                    float* c, std::size_t c_stride, std::size_t m, std::size_t k, std::size_t n);

}  // namespace ferrule::factor
