// SPDX-License-Identifier: Apache-2.0
#include "factor/multiply.hpp"

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

// The loops over a tile must be unrolled, or its sums do not stay in registers.
#if defined(__clang__)
#define FERRULE_UNROLL _Pragma("clang loop unroll(full)")
#else
#define FERRULE_UNROLL _Pragma("GCC unroll 8")
#endif

namespace ferrule::factor {
namespace {

// Elements of the inner dimension at a time: a strip of b that is as long stays in the second
// cache, and a stretch of a's row is a page.
constexpr std::size_t kInner = 1024;
// The same if a is transposed: tiles of it that are as long are packed, because its rows, which are
// often a power of two apart, would share few places in the first cache.
constexpr std::size_t kPackedInner = 128;
// Columns of a transposed a that are packed at a time, read in the order in which they are stored.
constexpr std::size_t kPackedColumns = 512;

template <typename T>
struct Operands {
  const T* a;
  std::size_t a_row, a_column;
  const T* b;
  std::size_t b_stride;
  T* c;
  std::size_t c_stride;
  std::size_t m, k, n;
  bool adds = false;
};

/// What a processor's registers hold: a tile has Rows x MaxVectors of them.
template <typename T, std::size_t Bytes, std::size_t Rows, std::size_t MaxVectors>
struct Shape {
  using Vector [[gnu::vector_size(Bytes)]] = T;
  static constexpr std::size_t kLanes = Bytes / sizeof(T);
  static constexpr std::size_t kRows = Rows;
  static constexpr std::size_t kMaxVectors = MaxVectors;
};

/// A part of a: its rows, and the elements of each, are that far apart.
template <typename T>
struct Left {
  const T* first;
  std::size_t row, column;
};

/// `Rows` rows of c in one strip, `count` elements of the inner dimension. The strip of b is
/// packed; `columns` of it are c's.
template <typename S, std::size_t Rows, std::size_t Vectors, typename T>
__attribute__((always_inline)) inline void tile(Left<T> a, const T* strip, std::size_t count, T* c,
                                                std::size_t c_stride, std::size_t columns,
                                                bool adds) {
  using Vector = typename S::Vector;
  constexpr std::size_t kWidth = Vectors * S::kLanes;
  Vector sums[Rows][Vectors] = {};
  const T* left = a.first;
  for (std::size_t p = 0; p < count; ++p, left += a.column, strip += kWidth) {
    Vector right[Vectors];
    std::memcpy(right, strip, sizeof(right));
    FERRULE_UNROLL
    for (std::size_t r = 0; r < Rows; ++r) {
      const T factor = left[r * a.row];
      FERRULE_UNROLL
      for (std::size_t v = 0; v < Vectors; ++v) sums[r][v] += factor * right[v];
    }
  }
  FERRULE_UNROLL
  for (std::size_t r = 0; r < Rows; ++r) {
    T* const out = c + r * c_stride;
    if (columns == kWidth) {
      Vector old[Vectors] = {};
      if (adds) std::memcpy(old, out, sizeof(old));
      FERRULE_UNROLL
      for (std::size_t v = 0; v < Vectors; ++v) old[v] += sums[r][v];
      std::memcpy(out, old, sizeof(old));
      continue;
    }
    T row[kWidth];
    std::memcpy(row, sums[r], sizeof(row));
    for (std::size_t column = 0; column < columns; ++column) {
      out[column] = adds ? out[column] + row[column] : row[column];
    }
  }
}

/// A strip of b, packed: elements `first` to `last` of the inner dimension from column j on.
template <std::size_t Width, typename T>
__attribute__((always_inline)) inline void pack_strip(const Operands<T>& o, std::size_t j,
                                                      std::size_t first, std::size_t last, T* to) {
  const std::size_t columns = std::min(Width, o.n - j);
  for (std::size_t p = first; p < last; ++p, to += Width) {
    std::copy_n(o.b + p * o.b_stride + j, columns, to);
    std::fill(to + columns, to + Width, T(0));
  }
}

/// Calls strip(std::integral_constant<std::size_t, Vectors>(), j) for each strip of c.
template <typename S, typename T, typename Strip>
__attribute__((always_inline)) inline void for_strips(const Operands<T>& o, const Strip& strip) {
  constexpr std::size_t kWidest = S::kMaxVectors * S::kLanes;
  for (std::size_t j = 0; j < o.n; j += kWidest) {
    const auto vectors = (std::min(kWidest, o.n - j) + S::kLanes - 1) / S::kLanes;
    if (vectors == 1) {
      strip(std::integral_constant<std::size_t, 1>(), j);
    } else if (vectors == 2) {
      strip(std::integral_constant<std::size_t, 2>(), j);
    } else {
      strip(std::integral_constant<std::size_t, 3>(), j);
    }
  }
}

template <typename S, typename T>
__attribute__((always_inline)) inline void multiply_all(const Operands<T>& o) {
  std::vector<T> packed(std::min(kInner, o.k) * S::kMaxVectors * S::kLanes);
  std::size_t first = 0;
  do {
    const auto last = std::min(o.k, first + kInner);
    for_strips<S>(
        o, [&](auto vectors, std::size_t j) __attribute__((always_inline)) {
          constexpr std::size_t kVectors = decltype(vectors)::value;
          constexpr std::size_t kWidth = kVectors * S::kLanes;
          const auto columns = std::min(kWidth, o.n - j);
          pack_strip<kWidth>(o, j, first, last, packed.data());
          std::size_t i = 0;
          const auto rows = [&](auto count) __attribute__((always_inline)) {
            constexpr std::size_t kRows = decltype(count)::value;
            tile<S, kRows, kVectors>({o.a + i * o.a_row + first * o.a_column, o.a_row, o.a_column},
                                     packed.data(), last - first, o.c + i * o.c_stride + j,
                                     o.c_stride, columns, o.adds || first > 0);
            i += kRows;
          };
          while (i + S::kRows <= o.m) rows(std::integral_constant<std::size_t, S::kRows>());
          while (i < o.m) rows(std::integral_constant<std::size_t, 1>());
        });
    first = last;
  } while (first < o.k);
}

/// Columns `left` to `right` of a, elements `first` to `last` of the inner dimension, as tiles.
template <std::size_t Rows, typename T>
__attribute__((always_inline)) inline void pack_tiles(const Operands<T>& o, std::size_t left,
                                                      std::size_t right, std::size_t first,
                                                      std::size_t last, T* to) {
  const auto height = last - first;
  for (std::size_t p = 0; p < height; ++p) {
    const T* from = o.a + (first + p) * o.a_column + left;
    std::size_t i = left;
    for (T* tile = to + p * Rows; i + Rows <= right;
         i += Rows, from += Rows, tile += height * Rows) {
      std::memcpy(tile, from, Rows * sizeof(T));
    }
    T* const tail = to + (i - left) * height + p * Rows;
    std::copy(from, from + (right - i), tail);
  }
}

/// c += a b for a transposed a.
template <typename S, typename T>
__attribute__((always_inline)) inline void add_all_transposed(const Operands<T>& o) {
  constexpr std::size_t kWidest = S::kMaxVectors * S::kLanes;
  const auto deepest = std::min(kPackedInner, o.k);
  std::vector<T> strips(deepest * ((o.n + kWidest - 1) / kWidest) * kWidest);
  std::vector<T> tiles(deepest * (std::min(kPackedColumns, o.m) + S::kRows));
  for (std::size_t first = 0; first < o.k; first += kPackedInner) {
    const auto last = std::min(o.k, first + kPackedInner);
    const auto height = last - first;
    for_strips<S>(
        o, [&](auto vectors, std::size_t j) __attribute__((always_inline)) {
          pack_strip<decltype(vectors)::value * S::kLanes>(o, j, first, last,
                                                           strips.data() + j * height);
        });
    for (std::size_t left = 0; left < o.m; left += kPackedColumns) {
      const auto right = std::min(o.m, left + kPackedColumns);
      pack_tiles<S::kRows>(o, left, right, first, last, tiles.data());
      for_strips<S>(
          o, [&](auto vectors, std::size_t j) __attribute__((always_inline)) {
            constexpr std::size_t kVectors = decltype(vectors)::value;
            const auto columns = std::min(kVectors * S::kLanes, o.n - j);
            const T* const strip = strips.data() + j * height;
            std::size_t i = left;
            for (; i + S::kRows <= right; i += S::kRows) {
              tile<S, S::kRows, kVectors>({tiles.data() + (i - left) * height, 1, S::kRows}, strip,
                                          height, o.c + i * o.c_stride + j, o.c_stride, columns,
                                          true);
            }
            const T* const tail = tiles.data() + (i - left) * height;
            for (std::size_t r = 0; i + r < right; ++r) {
              tile<S, 1, kVectors>({tail + r, 1, S::kRows}, strip, height,
                                   o.c + (i + r) * o.c_stride + j, o.c_stride, columns, true);
            }
          });
    }
  }
}

template <typename S, bool Transposed, typename T>
__attribute__((always_inline)) inline void compute(const Operands<T>& o) {
  if constexpr (Transposed) {
    add_all_transposed<S>(o);
  } else {
    multiply_all<S>(o);
  }
}

template <bool Transposed, typename T>
void compute_anywhere(const Operands<T>& o) {
  compute<Shape<T, 16, 2, 3>, Transposed>(o);
}

#if defined(__x86_64__)
template <bool Transposed, typename T>
__attribute__((target("avx2,fma"))) void compute_avx2(const Operands<T>& o) {
  compute<Shape<T, 32, 4, 3>, Transposed>(o);
}

template <bool Transposed, typename T>
__attribute__((target("avx512f"))) void compute_avx512(const Operands<T>& o) {
  compute<Shape<T, 64, 8, 3>, Transposed>(o);
}
#endif

template <bool Transposed, typename T>
void run(const Operands<T>& o) {
#if defined(__x86_64__)
  static const bool kHasAvx512 = __builtin_cpu_supports("avx512f");
  static const bool kHasAvx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (kHasAvx512) return compute_avx512<Transposed>(o);
  if (kHasAvx2) return compute_avx2<Transposed>(o);
#endif
  compute_anywhere<Transposed>(o);
}

}  // namespace

void multiply(const double* a, std::size_t a_stride, const double* b, std::size_t b_stride,
              double* c, std::size_t c_stride, std::size_t m, std::size_t k, std::size_t n) {
  run<false, double>({a, a_stride, 1, b, b_stride, c, c_stride, m, k, n});
}

void multiply(const float* a, std::size_t a_stride, const float* b, std::size_t b_stride, float* c,
              std::size_t c_stride, std::size_t m, std::size_t k, std::size_t n) {
  run<false, float>({a, a_stride, 1, b, b_stride, c, c_stride, m, k, n});
}

void add_multiplied(const float* a, std::size_t a_stride, const float* b, std::size_t b_stride,
                    float* c, std::size_t c_stride, std::size_t m, std::size_t k, std::size_t n) {
  run<false, float>({a, a_stride, 1, b, b_stride, c, c_stride, m, k, n, true});
}

void add_transposed(const float* a, std::size_t a_stride, const float* b, std::size_t b_stride,
                    float* c, std::size_t c_stride, std::size_t m, std::size_t k, std::size_t n) {
  run<true, float>({a, 1, a_stride, b, b_stride, c, c_stride, m, k, n});
}

}  // namespace ferrule::factor
