// SPDX-License-Identifier: Apache-2.0
#include "factor/multiply.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

// The loops over a tile must be unrolled, or its sums do not stay in registers.
#if defined(__clang__)
#define FERRULE_UNROLL _Pragma("clang loop unroll(full)")
#else
#define FERRULE_UNROLL _Pragma("GCC unroll 8")
#endif

namespace ferrule::factor {
namespace {

// Elements of the inner dimension at a time: a strip of b that is as long stays in the first two
// caches.
constexpr std::size_t kInner = 256;

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

/// What a processor's registers hold: a tile has Rows x MaxVectors of them.
template <typename T, std::size_t Bytes, std::size_t Rows, std::size_t MaxVectors>
struct Shape {
  using Vector [[gnu::vector_size(Bytes)]] = T;
  static constexpr std::size_t kLanes = Bytes / sizeof(T);
  static constexpr std::size_t kRows = Rows;
  static constexpr std::size_t kMaxVectors = MaxVectors;
};

/// `Rows` rows of c in one strip, whose columns of b are packed. `columns` of them are c's.
template <typename S, std::size_t Rows, std::size_t Vectors, typename T>
__attribute__((always_inline)) inline void tile(const Operands<T>& o, const T* strip, std::size_t i,
                                                std::size_t j, std::size_t first, std::size_t last,
                                                std::size_t columns) {
  using Vector = typename S::Vector;
  constexpr std::size_t kWidth = Vectors * S::kLanes;
  Vector sums[Rows][Vectors] = {};
  const T* left = o.a + i * o.a_row + first * o.a_column;
  for (std::size_t p = first; p < last; ++p, left += o.a_column, strip += kWidth) {
    Vector right[Vectors];
    std::memcpy(right, strip, sizeof(right));
    FERRULE_UNROLL
    for (std::size_t r = 0; r < Rows; ++r) {
      const T factor = left[r * o.a_row];
      FERRULE_UNROLL
      for (std::size_t v = 0; v < Vectors; ++v) sums[r][v] += factor * right[v];
    }
  }
  const bool adds = o.adds || first > 0;
  FERRULE_UNROLL
  for (std::size_t r = 0; r < Rows; ++r) {
    T row[kWidth];
    std::memcpy(row, sums[r], sizeof(row));
    T* const out = o.c + (i + r) * o.c_stride + j;
    for (std::size_t column = 0; column < columns; ++column) {
      out[column] = adds ? out[column] + row[column] : row[column];
    }
  }
}

/// One strip of c: all of its rows.
template <typename S, std::size_t Vectors, typename T>
__attribute__((always_inline)) inline void strip_of(const Operands<T>& o, std::vector<T>& packed,
                                                    std::size_t j, std::size_t first,
                                                    std::size_t last) {
  constexpr std::size_t kWidth = Vectors * S::kLanes;
  const std::size_t columns = std::min(kWidth, o.n - j);
  for (std::size_t p = first; p < last; ++p) {
    T* const to = packed.data() + (p - first) * kWidth;
    std::copy_n(o.b + p * o.b_stride + j, columns, to);
    std::fill(to + columns, to + kWidth, T(0));
  }
  std::size_t i = 0;
  for (; i + S::kRows <= o.m; i += S::kRows) {
    tile<S, S::kRows, Vectors>(o, packed.data(), i, j, first, last, columns);
  }
  for (; i < o.m; ++i) tile<S, 1, Vectors>(o, packed.data(), i, j, first, last, columns);
}

template <typename S, typename T>
__attribute__((always_inline)) inline void multiply_all(const Operands<T>& o) {
  constexpr std::size_t kWidest = S::kMaxVectors * S::kLanes;
  std::vector<T> packed(std::min(kInner, o.k) * kWidest);
  std::size_t first = 0;
  do {
    const auto last = std::min(o.k, first + kInner);
    for (std::size_t j = 0; j < o.n; j += kWidest) {
      const auto vectors = (std::min(kWidest, o.n - j) + S::kLanes - 1) / S::kLanes;
      if (vectors == 1) {
        strip_of<S, 1>(o, packed, j, first, last);
      } else if (vectors == 2) {
        strip_of<S, 2>(o, packed, j, first, last);
      } else {
        strip_of<S, 3>(o, packed, j, first, last);
      }
    }
    first = last;
  } while (first < o.k);
}

template <typename T>
void multiply_anywhere(const Operands<T>& o) {
  multiply_all<Shape<T, 16, 2, 3>>(o);
}

#if defined(__x86_64__)
template <typename T>
__attribute__((target("avx2,fma"))) void multiply_avx2(const Operands<T>& o) {
  multiply_all<Shape<T, 32, 4, 3>>(o);
}

template <typename T>
__attribute__((target("avx512f"))) void multiply_avx512(const Operands<T>& o) {
  multiply_all<Shape<T, 64, 8, 3>>(o);
}
#endif

template <typename T>
void run(const Operands<T>& o) {
#if defined(__x86_64__)
  static const bool kHasAvx512 = __builtin_cpu_supports("avx512f");
  static const bool kHasAvx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (kHasAvx512) return multiply_avx512(o);
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
