// SPDX-License-Identifier: Apache-2.0
#include "factor/multiply.hpp"

#include <cstring>

namespace ferrule::factor {
namespace {

// A tile of four rows and eight columns: eight sums of four doubles each stay in registers.
constexpr std::size_t kTileRows = 4;
constexpr std::size_t kLanes = 4;
constexpr std::size_t kTileColumns = 2 * kLanes;

using Vec = double __attribute__((vector_size(kLanes * sizeof(double))));

struct Operands {
  const double* a;
  std::size_t a_stride;
  const double* b;
  std::size_t b_stride;
  double* c;
  std::size_t c_stride;
  std::size_t m, k, n;
};

template <std::size_t Rows>
__attribute__((always_inline)) inline void tile(const Operands& o, std::size_t i, std::size_t j) {
  Vec sums[Rows][2] = {};
  for (std::size_t p = 0; p < o.k; ++p) {
    Vec right[2];
    std::memcpy(right, o.b + p * o.b_stride + j, sizeof(right));
    for (std::size_t r = 0; r < Rows; ++r) {
      const double left = o.a[(i + r) * o.a_stride + p];
      sums[r][0] += left * right[0];
      sums[r][1] += left * right[1];
    }
  }
  for (std::size_t r = 0; r < Rows; ++r) {
    std::memcpy(o.c + (i + r) * o.c_stride + j, sums[r], sizeof(sums[r]));
  }
}

__attribute__((always_inline)) inline void edge(const Operands& o, std::size_t i, std::size_t j) {
  for (; j < o.n; ++j) {
    double sum = 0;
    for (std::size_t p = 0; p < o.k; ++p) sum += o.a[i * o.a_stride + p] * o.b[p * o.b_stride + j];
    o.c[i * o.c_stride + j] = sum;
  }
}

__attribute__((always_inline)) inline void multiply_all(const Operands& o) {
  const std::size_t whole = o.n / kTileColumns * kTileColumns;
  std::size_t i = 0;
  for (; i + kTileRows <= o.m; i += kTileRows) {
    for (std::size_t j = 0; j < whole; j += kTileColumns) tile<kTileRows>(o, i, j);
    for (std::size_t r = 0; r < kTileRows; ++r) edge(o, i + r, whole);
  }
  for (; i < o.m; ++i) {
    for (std::size_t j = 0; j < whole; j += kTileColumns) tile<1>(o, i, j);
    edge(o, i, whole);
  }
}

void multiply_anywhere(const Operands& o) { multiply_all(o); }

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) void multiply_avx2(const Operands& o) { multiply_all(o); }
#endif

using Kernel = void (*)(const Operands&);

Kernel best_kernel() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return multiply_avx2;
#endif
  return multiply_anywhere;
}

}  // namespace

void multiply(const double* a, std::size_t a_stride, const double* b, std::size_t b_stride,
              double* c, std::size_t c_stride, std::size_t m, std::size_t k, std::size_t n) {
  static const Kernel kKernel = best_kernel();
  kKernel({a, a_stride, b, b_stride, c, c_stride, m, k, n});
}

}  // namespace ferrule::factor
