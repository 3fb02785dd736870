// SPDX-License-Identifier: Apache-2.0
#include "factor/half_kernels.hpp"

#include <cstdlib>
#include <string_view>

#include "base/float_convert.hpp"

namespace ferrule::factor {
namespace {

void nothing() {}

void multiply_pair(const std::uint16_t* a, const std::uint16_t* b, const TileProduct& p, float* c) {
  for (std::size_t i = 0; i < kTileRows; ++i) {
    for (std::size_t j = 0; j < kTileRows; ++j) {
      float sum = p.adds ? c[i * p.c_stride + j] : 0.0F;
      for (std::size_t tile = 0; tile < p.count; ++tile) {
        const auto* const left = a + tile * p.a_step + i * kTileDepth;
        const auto* const right = b + tile * p.b_step + 2 * j;
        for (std::size_t k = 0; k < kTileDepth; ++k) {
          sum +=
              base::bf16_to_float(left[k]) * base::bf16_to_float(right[k / 2 * kTileDepth + k % 2]);
        }
      }
      c[i * p.c_stride + j] = sum;
    }
  }
}

void multiply(const TileProduct& p) {
  for (std::size_t i = 0; i < 2; ++i) {
    for (std::size_t j = 0; j < 2; ++j) {
      multiply_pair(p.a + i * p.a_row, p.b + j * p.b_column, p, p.c + i * p.c_row + j * p.c_column);
    }
  }
}

double split(const float* from, std::size_t stride, std::uint16_t* hi, std::uint16_t* lo) {
  double squares = 0;
  for (std::size_t i = 0; i < kTileRows; ++i, from += stride) {
    for (std::size_t j = 0; j < kTileDepth; ++j) {
      const float value = from[j];
      squares += double{value} * double{value};
      *hi = base::float_to_bf16(value);
      *lo++ = base::float_to_bf16(value - base::bf16_to_float(*hi++));
    }
  }
  return squares;
}

void weave(const std::uint16_t* upper, const std::uint16_t* lower, std::uint16_t* left,
           std::uint16_t* right) {
  for (std::size_t row = 0; row < kTileDepth; ++row) {
    const auto* const from =
        row < kTileRows ? upper + row * kTileDepth : lower + (row - kTileRows) * kTileDepth;
    const auto at = row / 2 * kTileDepth + row % 2;
    for (std::size_t j = 0; j < kTileRows; ++j) {
      left[at + 2 * j] = from[j];
      right[at + 2 * j] = from[kTileRows + j];
    }
  }
}

constexpr HalfKernels kPlain = {"plain", nothing, nothing, multiply, split, weave};

const HalfKernels* choose() noexcept {
  const char* const asked = std::getenv("FERRULE_KERNELS");
  const std::string_view name = asked == nullptr ? "" : asked;
  if (name == "plain" || name == "avx2" || name == "avx512") return nullptr;
  const auto* const tiles = amx_half_kernels();
  return tiles != nullptr ? tiles : avx512_half_kernels();
}

}  // namespace

const HalfKernels* plain_half_kernels() noexcept { return &kPlain; }

const HalfKernels* half_kernels() noexcept {
  static const HalfKernels* const chosen = choose();
  return chosen;
}

}  // namespace ferrule::factor
