// SPDX-License-Identifier: Apache-2.0
#include "factor/half_kernels.hpp"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#define FERRULE_TARGET \
  __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma")))

namespace ferrule::factor {
namespace {

void nothing() {}

FERRULE_TARGET inline __m512i load(const std::uint16_t* from) { return _mm512_loadu_si512(from); }

/// One row of 16 x 16 sums for each register.
FERRULE_TARGET void multiply_pair(const std::uint16_t* a, const std::uint16_t* b,
                                  const TileProduct& p, float* c) {
  __m512 sums[kTileRows];
#pragma GCC unroll 16
  for (std::size_t i = 0; i < kTileRows; ++i) {
    sums[i] = p.adds ? _mm512_loadu_ps(c + i * p.c_stride) : _mm512_setzero_ps();
  }
  for (std::size_t tile = 0; tile < p.count; ++tile, a += p.a_step, b += p.b_step) {
    for (std::size_t k = 0; k < kTileDepth; k += 2) {
      const auto right = reinterpret_cast<__m512bh>(load(b + k * kTileRows));
#pragma GCC unroll 16
      for (std::size_t i = 0; i < kTileRows; ++i) {
        std::int32_t pair = 0;
        __builtin_memcpy(&pair, a + i * kTileDepth + k, sizeof(pair));
        sums[i] =
            _mm512_dpbf16_ps(sums[i], reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair)), right);
      }
    }
  }
#pragma GCC unroll 16
  for (std::size_t i = 0; i < kTileRows; ++i) _mm512_storeu_ps(c + i * p.c_stride, sums[i]);
}

FERRULE_TARGET void multiply(const TileProduct& p) {
  for (std::size_t i = 0; i < 2; ++i) {
    for (std::size_t j = 0; j < 2; ++j) {
      multiply_pair(p.a + i * p.a_row, p.b + j * p.b_column, p, p.c + i * p.c_row + j * p.c_column);
    }
  }
}

FERRULE_TARGET inline __m512 widened(__m256i halves) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

FERRULE_TARGET double split(const float* from, std::size_t stride, std::uint16_t* hi,
                            std::uint16_t* lo) {
  __m512d sums[4] = {_mm512_setzero_pd(), _mm512_setzero_pd(), _mm512_setzero_pd(),
                     _mm512_setzero_pd()};
  for (std::size_t i = 0; i < kTileRows; ++i, from += stride, hi += kTileDepth, lo += kTileDepth) {
    const __m512 left = _mm512_loadu_ps(from);
    const __m512 right = _mm512_loadu_ps(from + 16);
    const auto high = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(right, left));
    _mm512_storeu_si512(hi, high);
    const __m512 left_rest = left - widened(_mm512_castsi512_si256(high));
    const __m512 right_rest = right - widened(_mm512_extracti64x4_epi64(high, 1));
    _mm512_storeu_si512(lo, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(right_rest, left_rest)));
    const __m512d parts[4] = {_mm512_cvtps_pd(_mm512_castps512_ps256(left)),
                              _mm512_cvtps_pd(_mm512_extractf32x8_ps(left, 1)),
                              _mm512_cvtps_pd(_mm512_castps512_ps256(right)),
                              _mm512_cvtps_pd(_mm512_extractf32x8_ps(right, 1))};
#pragma GCC unroll 4
    for (std::size_t k = 0; k < 4; ++k) sums[k] = _mm512_fmadd_pd(parts[k], parts[k], sums[k]);
  }
  return _mm512_reduce_add_pd((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

FERRULE_TARGET void weave(const std::uint16_t* upper, const std::uint16_t* lower,
                          std::uint16_t* left, std::uint16_t* right) {
  // 0, 32, 1, 33 and so on: indices of 32 and more are of the second register.
  const __m512i pair = _mm512_set1_epi32(0x200000);
  const __m512i each = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  const __m512i first =
      _mm512_add_epi16(_mm512_mullo_epi32(each, _mm512_set1_epi32(0x10001)), pair);
  const __m512i second = _mm512_add_epi16(first, _mm512_set1_epi16(16));
  const std::uint16_t* from = upper;
  for (std::size_t row = 0; row < kTileDepth; row += 2) {
    if (row == kTileRows) from = lower;
    const __m512i even = load(from);
    const __m512i odd = load(from + kTileDepth);
    _mm512_storeu_si512(left, _mm512_permutex2var_epi16(even, first, odd));
    _mm512_storeu_si512(right, _mm512_permutex2var_epi16(even, second, odd));
    from += 2 * kTileDepth;
    left += kTileDepth;
    right += kTileDepth;
  }
}

constexpr HalfKernels kAvx512 = {"avx512bf16", nothing, nothing, multiply, split, weave};

}  // namespace

const HalfKernels* avx512_half_kernels() noexcept {
  const bool able =
      __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
      __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
      __builtin_cpu_supports("avx512bf16") != 0;
  return able ? &kAvx512 : nullptr;
}

}  // namespace ferrule::factor

#else

namespace ferrule::factor {
const HalfKernels* avx512_half_kernels() noexcept { return nullptr; }
}  // namespace ferrule::factor

#endif
