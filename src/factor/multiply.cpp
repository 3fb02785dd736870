// SPDX-License-Identifier: Apache-2.0
#include "factor/multiply.hpp"

#include <cstring>

namespace ferrule::factor {
namespace {

// A tile of four rows and two vectors of 32 bytes: eight sums stay in registers.
constexpr std::size_t kTileRows = 4;
constexpr std::size_t kVectorBytes = 32;

template <typename T>
struct VectorOf;
template <>
struct VectorOf<float> {
  using Type = float __attribute__((vector_size(kVectorBytes)));
};
template <>
struct VectorOf<double> {
  using Type = double __attribute__((vector_size(kVectorBytes)));
};

template <typename T>
struct Operands {
  const T* a;
  std::size_t a_row, a_column;
  const T* b;
  std::size_t b_stride;
  T* c;
  std::size_t c_stride;
  std::size_t m, k, n;
  bool adds;
};

template <typename T, std::size_t Rows>
__attribute__((always_inline)) inline void tile(const Operands<T>& o, std::size_t i,
                                                std::size_t j) {
  using Vec = typename VectorOf<T>::Type;
  Vec sums[Rows][2] = {};
  for (std::size_t r = 0; o.adds && r < Rows; ++r) {
    std::memcpy(sums[r], o.c + (i + r) * o.c_stride + j, sizeof(sums[r]));
  }
  for (std::size_t p = 0; p < o.k; ++p) {
    Vec right[2];
    std::memcpy(right, o.b + p * o.b_stride + j, sizeof(right));
    for (std::size_t r = 0; r < Rows; ++r) {
      const T left = o.a[(i + r) * o.a_row + p * o.a_column];
      sums[r][0] += left * right[0];
      sums[r][1] += left * right[1];
    }
  }
  for (std::size_t r = 0; r < Rows; ++r) {
    std::memcpy(o.c + (i + r) * o.c_stride + j, sums[r], sizeof(sums[r]));
  }
}

template <typename T>
__attribute__((always_inline)) inline void edge(const Operands<T>& o, std::size_t i,
                                                std::size_t j) {
  for (; j < o.n; ++j) {
    T sum = o.adds ? o.c[i * o.c_stride + j] : T(0);
    for (std::size_t p = 0; p < o.k; ++p) {
      sum += o.a[i * o.a_row + p * o.a_column] * o.b[p * o.b_stride + j];
    }
    o.c[i * o.c_stride + j] = sum;
  }
}

template <typename T>
__attribute__((always_inline)) inline void multiply_all(const Operands<T>& o) {
  constexpr std::size_t kColumns = 2 * kVectorBytes / sizeof(T);
  const std::size_t whole = o.n / kColumns * kColumns;
  std::size_t i = 0;
  for (; i + kTileRows <= o.m; i += kTileRows) {
    for (std::size_t j = 0; j < whole; j += kColumns) tile<T, kTileRows>(o, i, j);
    for (std::size_t r = 0; r < kTileRows; ++r) edge(o, i + r, whole);
  }
  for (; i < o.m; ++i) {
    for (std::size_t j = 0; j < whole; j += kColumns) tile<T, 1>(o, i, j);
    edge(o, i, whole);
  }
}

void multiply_anywhere(const Operands<double>& o) { multiply_all(o); }
void multiply_anywhere(const Operands<float>& o) { multiply_all(o); }

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) void multiply_avx2(const Operands<double>& o) {
  multiply_all(o);
}
__attribute__((target("avx2,fma"))) void multiply_avx2(const Operands<float>& o) {
  multiply_all(o);
}
#endif

template <typename T>
void run(const Operands<T>& o) {
#if defined(__x86_64__)
  static const bool kHasAvx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (kHasAvx2) return multiply_avx2(o);
#endif
  multiply_anywhere(o);
}

}  // namespace

void multiply(const double* a, std::size_t a_stride, const double* b, std::size_t b_stride,
              double* c, std::size_t c_stride, std::size_t m, std::size_t k, std::size_t n) {
  run<double>({a, a_stride, 1, b, b_stride, c, c_stride, m, k, n, false});
}

void multiply(const float* a, std::size_t a_stride, const float* b, std::size_t b_stride, float* c,
              std::size_t c_stride, std::size_t m, std::size_t k, std::size_t n) {
  run<float>({a, a_stride, 1, b, b_stride, c, c_stride, m, k, n, false});
}

void add_transposed(const float* a, std::size_t a_stride, const float* b, std::size_t b_stride,
                    float* c, std::size_t c_stride, std::size_t m, std::size_t k, std::size_t n) {
  run<float>({a, 1, a_stride, b, b_stride, c, c_stride, m, k, n, true});
}

}  // namespace ferrule::factor
