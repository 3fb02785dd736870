// SPDX-License-Identifier: Apache-2.0
#include "merge/kernels.hpp"

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#include <immintrin.h>

#include <algorithm>

#define FERRULE_TARGET __attribute__((target("avx2,fma,f16c")))

namespace ferrule::merging {
namespace {

constexpr std::size_t kLanes = 8;
constexpr std::size_t kRows = 4;
constexpr std::size_t kVectors = 2;
using Floats = __m256;
using Mask = __m256i;

FERRULE_TARGET inline Floats zeros() { return _mm256_setzero_ps(); }
FERRULE_TARGET inline Floats all(float value) { return _mm256_set1_ps(value); }
FERRULE_TARGET inline Floats load(const float* from) { return _mm256_loadu_ps(from); }
FERRULE_TARGET inline Floats load(const float* from, Mask mask) {
  return _mm256_maskload_ps(from, mask);
}
FERRULE_TARGET inline void store(float* to, Floats floats) { _mm256_storeu_ps(to, floats); }
FERRULE_TARGET inline void store(float* to, Mask mask, Floats floats) {
  _mm256_maskstore_ps(to, mask, floats);
}
FERRULE_TARGET inline Floats multiply_add(Floats a, Floats b, Floats c) {
  return _mm256_fmadd_ps(a, b, c);
}

FERRULE_TARGET inline Mask first_lanes(std::size_t count) {
  const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), index);
}

/// float to bfloat16 bits in the low half of each lane, to nearest even.
FERRULE_TARGET inline __m256i bf16_bits(Floats value) {
  const __m256i bits = _mm256_castps_si256(value);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i up = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  const __m256 nan = _mm256_cmp_ps(value, value, _CMP_UNORD_Q);
  return _mm256_srli_epi32(_mm256_blendv_epi8(up, quiet, _mm256_castps_si256(nan)), 16);
}

FERRULE_TARGET inline Floats rounded(Dtype dtype, Floats value) {
  if (dtype == Dtype::kBF16) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(bf16_bits(value), 16));
  }
  if (dtype == Dtype::kF16) {
    return _mm256_cvtph_ps(_mm256_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT));
  }
  return value;
}

FERRULE_TARGET inline Floats stored_floats(const std::byte* from) {
  return _mm256_loadu_ps(reinterpret_cast<const float*>(from));
}
FERRULE_TARGET inline __m128i halves(const std::byte* from) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}
FERRULE_TARGET inline Floats from_bf16(const std::byte* from) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves(from)), 16));
}
FERRULE_TARGET inline Floats from_f16(const std::byte* from) {
  return _mm256_cvtph_ps(halves(from));
}
FERRULE_TARGET inline void to_bf16(Floats from, std::byte* to) {
  const __m256i bits = bf16_bits(from);
  _mm_storeu_si128(
      reinterpret_cast<__m128i*>(to),
      _mm_packus_epi32(_mm256_castsi256_si128(bits), _mm256_extracti128_si256(bits, 1)));
}
FERRULE_TARGET inline void to_f16(Floats from, std::byte* to) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                   _mm256_cvtps_ph(from, _MM_FROUND_TO_NEAREST_INT));
}

#include "merge/kernels_body.inc"

constexpr Kernels kAvx2 = {"avx2",     add_product, load_bf16,   load_f16,
                           store_bf16, store_f16,   subtract_f32};

}  // namespace

const Kernels* avx2_kernels() noexcept {
  // Clang 14 has no name for F16C here.
  unsigned a = 0, b = 0, c = 0, d = 0;
  const bool has_f16c = __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
  const bool able =
      has_f16c && __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
  return able ? &kAvx2 : nullptr;
}

}  // namespace ferrule::merging

#else

namespace ferrule::merging {
const Kernels* avx2_kernels() noexcept { return nullptr; }
}  // namespace ferrule::merging

#endif
