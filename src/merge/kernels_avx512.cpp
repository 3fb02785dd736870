// SPDX-License-Identifier: Apache-2.0
#include "merge/kernels.hpp"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#include <algorithm>

#define FERRULE_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")))

namespace ferrule::merging {
namespace {

constexpr std::size_t kLanes = 16;
constexpr std::size_t kRows = 6;
constexpr std::size_t kVectors = 4;
using Floats = __m512;
using Mask = __mmask16;

FERRULE_TARGET inline Floats zeros() { return _mm512_setzero_ps(); }
FERRULE_TARGET inline Floats all(float value) { return _mm512_set1_ps(value); }
FERRULE_TARGET inline Floats load(const float* from) { return _mm512_loadu_ps(from); }
FERRULE_TARGET inline Floats load(const float* from, Mask mask) {
  return _mm512_maskz_loadu_ps(mask, from);
}
FERRULE_TARGET inline void store(float* to, Floats floats) { _mm512_storeu_ps(to, floats); }
FERRULE_TARGET inline void store(float* to, Mask mask, Floats floats) {
  _mm512_mask_storeu_ps(to, mask, floats);
}
FERRULE_TARGET inline Floats multiply_add(Floats a, Floats b, Floats c) {
  return _mm512_fmadd_ps(a, b, c);
}

inline Mask first_lanes(std::size_t count) { return static_cast<Mask>((1U << count) - 1U); }

/// float to bfloat16 bits in the low half of each lane, to nearest even.
FERRULE_TARGET inline __m512i bf16_bits(Floats value) {
  const __m512i bits = _mm512_castps_si512(value);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i up = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __mmask16 nan = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
  const __m512i best = _mm512_mask_or_epi32(up, nan, bits, _mm512_set1_epi32(0x400000));
  return _mm512_srli_epi32(best, 16);
}

FERRULE_TARGET inline Floats rounded(Dtype dtype, Floats value) {
  if (dtype == Dtype::kBF16) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(bf16_bits(value), 16));
  }
  if (dtype == Dtype::kF16) {
    return _mm512_cvtph_ps(_mm512_maskz_cvtps_ph(0xffff, value, _MM_FROUND_TO_NEAREST_INT));
  }
  return value;
}

FERRULE_TARGET inline Floats stored_floats(const std::byte* from) { return _mm512_loadu_ps(from); }
FERRULE_TARGET inline __m256i halves(const std::byte* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
FERRULE_TARGET inline Floats from_bf16(const std::byte* from) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves(from)), 16));
}
FERRULE_TARGET inline Floats from_f16(const std::byte* from) {
  return _mm512_cvtph_ps(halves(from));
}
FERRULE_TARGET inline void to_bf16(Floats from, std::byte* to) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(bf16_bits(from)));
}
FERRULE_TARGET inline void to_f16(Floats from, std::byte* to) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                      _mm512_maskz_cvtps_ph(0xffff, from, _MM_FROUND_TO_NEAREST_INT));
}

#include "merge/kernels_body.inc"

constexpr Kernels kAvx512 = {"avx512",   add_product, load_bf16,   load_f16,
                             store_bf16, store_f16,   subtract_f32};

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
