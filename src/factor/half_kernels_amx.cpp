// SPDX-License-Identifier: Apache-2.0
#include "factor/half_kernels.hpp"

#if defined(__x86_64__) && defined(__GNUC__) && defined(__linux__)
#include <cpuid.h>
#include <immintrin.h>

#include "io/tile_permission.hpp"

#define FERRULE_TARGET __attribute__((target("amx-tile,amx-bf16")))

namespace ferrule::factor {
namespace {

// Tiles 0 to 3 are sums, 4 and 5 rows of a, 6 and 7 columns of b.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfig) == 64);

constexpr std::size_t kRowBytes = 64;

FERRULE_TARGET void begin() {
  static constexpr TileConfig kConfig;
  _tile_loadconfig(&kConfig);
}

FERRULE_TARGET void end() { _tile_release(); }

FERRULE_TARGET void multiply(const TileProduct& p) {
  // The compiler does not see that the loads of tiles read memory.
  __asm__ volatile("" ::: "memory");
  const auto stride = p.c_stride * sizeof(float);
  float* const below = p.c + p.c_row;
  if (p.adds) {
    _tile_loadd(0, p.c, stride);
    _tile_loadd(1, p.c + p.c_column, stride);
    _tile_loadd(2, below, stride);
    _tile_loadd(3, below + p.c_column, stride);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  const auto* a = p.a;
  const auto* b = p.b;
  for (std::size_t i = 0; i < p.count; ++i, a += p.a_step, b += p.b_step) {
    _tile_loadd(4, a, kRowBytes);
    _tile_loadd(6, b, kRowBytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, b + p.b_column, kRowBytes);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, a + p.a_row, kRowBytes);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, p.c, stride);
  _tile_stored(1, p.c + p.c_column, stride);
  _tile_stored(2, below, stride);
  _tile_stored(3, below + p.c_column, stride);
}

bool processor_has_tiles() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  constexpr unsigned kBf16 = 1U << 22U, kTile = 1U << 24U;
  return (d & kBf16) != 0 && (d & kTile) != 0;
}

}  // namespace

const HalfKernels* amx_half_kernels() noexcept {
  static const HalfKernels* const chosen = []() -> const HalfKernels* {
    const auto* const rest = avx512_half_kernels();
    if (rest == nullptr || !processor_has_tiles() || !io::permit_tiles()) return nullptr;
    static const HalfKernels kernels = {"amx", begin, end, multiply, rest->split, rest->weave};
    return &kernels;
  }();
  return chosen;
}

}  // namespace ferrule::factor

#else

namespace ferrule::factor {
const HalfKernels* amx_half_kernels() noexcept { return nullptr; }
}  // namespace ferrule::factor

#endif
