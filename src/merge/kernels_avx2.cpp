// SPDX-License-Identifier: Apache-2.0
#include "merge/kernels.hpp"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#include <algorithm>
#include <cstring>

namespace ferrule::merging {
namespace {

#define FERRULE_AVX2 __attribute__((target("avx2,fma,f16c")))

constexpr std::size_t kLanes = 8;
constexpr std::size_t kRows = 4;
constexpr std::size_t kVectors = 2;

/// The first `count` of eight lanes.
FERRULE_AVX2 inline __m256i lanes(std::size_t count) {
  const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), index);
}

/// float to bfloat16 bits in the low half of each lane, to nearest even.
FERRULE_AVX2 inline __m256i to_bf16(__m256 value) {
  const __m256i bits = _mm256_castps_si256(value);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i up = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  const __m256 nan = _mm256_cmp_ps(value, value, _CMP_UNORD_Q);
  return _mm256_srli_epi32(_mm256_blendv_epi8(up, quiet, _mm256_castps_si256(nan)), 16);
}

FERRULE_AVX2 inline __m256 rounded(Dtype dtype, __m256 value) {
  if (dtype == Dtype::kBF16) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(to_bf16(value), 16));
  }
  if (dtype == Dtype::kF16) {
    return _mm256_cvtph_ps(_mm256_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT));
  }
  return value;
}

/// `Rows` rows by `Vectors` vectors, all of whose sums stay in registers: loops are unrolled. The
/// last vector has `tail` lanes.
template <std::size_t Rows, std::size_t Vectors>
FERRULE_AVX2 void block(const ProductTile& tile, std::size_t row, std::size_t column,
                        std::size_t tail) {
  const __m256i mask = lanes(tail);
  __m256 sums[Rows][Vectors];
#pragma GCC unroll 8
  for (auto& of_row : sums) {
#pragma GCC unroll 8
    for (auto& sum : of_row) sum = _mm256_setzero_ps();
  }
  for (std::size_t k = 0; k < tile.rank; ++k) {
    const float* a = tile.a + k * tile.a_stride + column;
    __m256 values[Vectors];
#pragma GCC unroll 8
    for (std::size_t v = 0; v + 1 < Vectors; ++v) values[v] = _mm256_loadu_ps(a + v * kLanes);
    values[Vectors - 1] = _mm256_maskload_ps(a + (Vectors - 1) * kLanes, mask);
#pragma GCC unroll 8
    for (std::size_t i = 0; i < Rows; ++i) {
      const __m256 b = _mm256_broadcast_ss(tile.b + (row + i) * tile.rank + k);
#pragma GCC unroll 8
      for (std::size_t v = 0; v < Vectors; ++v) {
        sums[i][v] = _mm256_fmadd_ps(b, values[v], sums[i][v]);
      }
    }
  }
  const __m256 scale = _mm256_set1_ps(tile.scale);
  const __m256 divisor = _mm256_set1_ps(tile.divisor);
#pragma GCC unroll 8
  for (std::size_t i = 0; i < Rows; ++i) {
    float* w = tile.w + (row + i) * tile.stride + column;
#pragma GCC unroll 8
    for (std::size_t v = 0; v < Vectors; ++v) {
      __m256 product = _mm256_mul_ps(sums[i][v], scale);
      if (tile.divisor != 1) product = _mm256_div_ps(product, divisor);
      product = rounded(tile.rounded, product);
      float* at = w + v * kLanes;
      if (v + 1 < Vectors || tail == kLanes) {
        _mm256_storeu_ps(at, _mm256_add_ps(_mm256_loadu_ps(at), product));
      } else {
        _mm256_maskstore_ps(at, mask, _mm256_add_ps(_mm256_maskload_ps(at, mask), product));
      }
    }
  }
}

template <std::size_t Rows>
FERRULE_AVX2 void rows_of(const ProductTile& tile, std::size_t row) {
  std::size_t column = 0;
  for (; column + kVectors * kLanes <= tile.columns; column += kVectors * kLanes) {
    block<Rows, kVectors>(tile, row, column, kLanes);
  }
  for (; column < tile.columns; column += kLanes) {
    block<Rows, 1>(tile, row, column, std::min(kLanes, tile.columns - column));
  }
}

FERRULE_AVX2 void add_product(const ProductTile& tile) {
  std::size_t row = 0;
  for (; row + kRows <= tile.rows; row += kRows) rows_of<kRows>(tile, row);
  for (; row < tile.rows; ++row) rows_of<1>(tile, row);
}

FERRULE_AVX2 void load_bf16(const std::byte* from, float* to, std::size_t count) {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + 2 * i));
    _mm256_storeu_ps(to + i,
                     _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16)));
  }
  if (i < count) plain_kernels()->load_bf16(from + 2 * i, to + i, count - i);
}

FERRULE_AVX2 void load_f16(const std::byte* from, float* to, std::size_t count) {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    _mm256_storeu_ps(
        to + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + 2 * i))));
  }
  if (i < count) plain_kernels()->load_f16(from + 2 * i, to + i, count - i);
}

FERRULE_AVX2 void store_bf16(const float* from, std::byte* to, std::size_t count) {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const __m256i bits = to_bf16(_mm256_loadu_ps(from + i));
    _mm_storeu_si128(
        reinterpret_cast<__m128i*>(to + 2 * i),
        _mm_packus_epi32(_mm256_castsi256_si128(bits), _mm256_extracti128_si256(bits, 1)));
  }
  if (i < count) plain_kernels()->store_bf16(from + i, to + 2 * i, count - i);
}

FERRULE_AVX2 void store_f16(const float* from, std::byte* to, std::size_t count) {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 2 * i),
                     _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT));
  }
  if (i < count) plain_kernels()->store_f16(from + i, to + 2 * i, count - i);
}

constexpr Kernels kAvx2 = {"avx2", add_product, load_bf16, load_f16, store_bf16, store_f16};

}  // namespace

const Kernels* avx2_kernels() noexcept {
  const bool able = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 &&
                    __builtin_cpu_supports("f16c") != 0;
  return able ? &kAvx2 : nullptr;
}

}  // namespace ferrule::merging

#else

namespace ferrule::merging {
const Kernels* avx2_kernels() noexcept { return nullptr; }
}  // namespace ferrule::merging

#endif
