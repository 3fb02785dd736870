// SPDX-License-Identifier: Apache-2.0
#include "merge/kernels.hpp"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#include <algorithm>

namespace ferrule::merging {
namespace {

#define FERRULE_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")))

constexpr std::size_t kLanes = 16;
constexpr std::size_t kRows = 6;
constexpr std::size_t kVectors = 4;

FERRULE_AVX512 inline __m512i to_bf16(__m512 value) {
  const __m512i bits = _mm512_castps_si512(value);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i up = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __mmask16 nan = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
  const __m512i best = _mm512_mask_or_epi32(up, nan, bits, _mm512_set1_epi32(0x400000));
  return _mm512_srli_epi32(best, 16);
}

FERRULE_AVX512 inline __m512 rounded(Dtype dtype, __m512 value) {
  if (dtype == Dtype::kBF16) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(to_bf16(value), 16));
  }
  if (dtype == Dtype::kF16) {
    return _mm512_cvtph_ps(_mm512_maskz_cvtps_ph(0xffff, value, _MM_FROUND_TO_NEAREST_INT));
  }
  return value;
}

template <std::size_t Rows, std::size_t Vectors>
FERRULE_AVX512 void block(const ProductTile& tile, std::size_t row, std::size_t column,
                          std::size_t tail) {
  const auto mask = static_cast<__mmask16>((1U << tail) - 1U);
  __m512 sums[Rows][Vectors];
#pragma GCC unroll 8
  for (auto& of_row : sums) {
#pragma GCC unroll 8
    for (auto& sum : of_row) sum = _mm512_setzero_ps();
  }
  for (std::size_t k = 0; k < tile.rank; ++k) {
    const float* a = tile.a + k * tile.a_stride + column;
    __m512 values[Vectors];
#pragma GCC unroll 8
    for (std::size_t v = 0; v + 1 < Vectors; ++v) values[v] = _mm512_loadu_ps(a + v * kLanes);
    values[Vectors - 1] = _mm512_maskz_loadu_ps(mask, a + (Vectors - 1) * kLanes);
#pragma GCC unroll 8
    for (std::size_t i = 0; i < Rows; ++i) {
      const __m512 b = _mm512_set1_ps(tile.b[(row + i) * tile.rank + k]);
#pragma GCC unroll 8
      for (std::size_t v = 0; v < Vectors; ++v) {
        sums[i][v] = _mm512_fmadd_ps(b, values[v], sums[i][v]);
      }
    }
  }
  const __m512 scale = _mm512_set1_ps(tile.scale);
  const __m512 divisor = _mm512_set1_ps(tile.divisor);
#pragma GCC unroll 8
  for (std::size_t i = 0; i < Rows; ++i) {
    float* w = tile.w + (row + i) * tile.stride + column;
#pragma GCC unroll 8
    for (std::size_t v = 0; v < Vectors; ++v) {
      __m512 product = _mm512_mul_ps(sums[i][v], scale);
      if (tile.divisor != 1) product = _mm512_div_ps(product, divisor);
      product = rounded(tile.rounded, product);
      const __mmask16 here = v + 1 < Vectors ? static_cast<__mmask16>(0xffff) : mask;
      float* at = w + v * kLanes;
      const __m512 old = _mm512_maskz_loadu_ps(here, at);
      _mm512_mask_storeu_ps(at, here, _mm512_add_ps(old, product));
    }
  }
}

template <std::size_t Rows>
FERRULE_AVX512 void rows_of(const ProductTile& tile, std::size_t row) {
  std::size_t column = 0;
  for (; column + kVectors * kLanes <= tile.columns; column += kVectors * kLanes) {
    block<Rows, kVectors>(tile, row, column, kLanes);
  }
  for (; column < tile.columns; column += kLanes) {
    block<Rows, 1>(tile, row, column, std::min(kLanes, tile.columns - column));
  }
}

FERRULE_AVX512 void add_product(const ProductTile& tile) {
  std::size_t row = 0;
  for (; row + kRows <= tile.rows; row += kRows) rows_of<kRows>(tile, row);
  for (; row < tile.rows; ++row) rows_of<1>(tile, row);
}

FERRULE_AVX512 void load_bf16(const std::byte* from, float* to, std::size_t count) {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + 2 * i));
    _mm512_storeu_ps(to + i,
                     _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16)));
  }
  if (i < count) plain_kernels()->load_bf16(from + 2 * i, to + i, count - i);
}

FERRULE_AVX512 void load_f16(const std::byte* from, float* to, std::size_t count) {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + 2 * i));
    _mm512_storeu_ps(to + i, _mm512_cvtph_ps(bits));
  }
  if (i < count) plain_kernels()->load_f16(from + 2 * i, to + i, count - i);
}

FERRULE_AVX512 void store_bf16(const float* from, std::byte* to, std::size_t count) {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 2 * i),
                        _mm512_cvtepi32_epi16(to_bf16(_mm512_loadu_ps(from + i))));
  }
  if (i < count) plain_kernels()->store_bf16(from + i, to + 2 * i, count - i);
}

FERRULE_AVX512 void store_f16(const float* from, std::byte* to, std::size_t count) {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    _mm256_storeu_si256(
        reinterpret_cast<__m256i*>(to + 2 * i),
        _mm512_maskz_cvtps_ph(0xffff, _mm512_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT));
  }
  if (i < count) plain_kernels()->store_f16(from + i, to + 2 * i, count - i);
}

constexpr Kernels kAvx512 = {"avx512", add_product, load_bf16, load_f16, store_bf16, store_f16};

}  // namespace

const Kernels* avx512_kernels() noexcept {
  const bool able =
      __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
      __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512dq") != 0;
  return able ? &kAvx512 : nullptr;
}

}  // namespace ferrule::merging

#else

namespace ferrule::merging {
const Kernels* avx512_kernels() noexcept { return nullptr; }
}  // namespace ferrule::merging

#endif
