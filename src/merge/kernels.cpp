// SPDX-License-Identifier: Apache-2.0
#include "merge/kernels.hpp"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "base/float_convert.hpp"

namespace ferrule::merging {
namespace {

float rounded(Dtype dtype, float value) noexcept {
  if (dtype == Dtype::kBF16) return base::bf16_to_float(base::float_to_bf16(value));
  if (dtype == Dtype::kF16) return base::f16_to_float(base::float_to_f16(value));
  return value;
}

void add_product(const ProductTile& tile) {
  for (std::size_t i = 0; i < tile.rows; ++i) {
    float* row = tile.w + i * tile.stride;
    const float* b = tile.b + i * tile.rank;
    for (std::size_t j = 0; j < tile.columns; ++j) {
      float product = 0;
      for (std::size_t k = 0; k < tile.rank; ++k) {
        product = std::fma(b[k], tile.a[k * tile.a_stride + j], product);
      }
      product *= tile.scale;
      if (tile.divisor != 1) product /= tile.divisor;
      row[j] += rounded(tile.rounded, product);
    }
  }
}

template <float (*convert)(std::uint16_t)>
void load(const std::byte* from, float* to, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, from + 2 * i, 2);
    to[i] = convert(bits);
  }
}

template <std::uint16_t (*convert)(float)>
void store(const float* from, std::byte* to, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint16_t bits = convert(from[i]);
    std::memcpy(to + 2 * i, &bits, 2);
  }
}

void subtract(const std::byte* before, const std::byte* after, float* to, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    float left = 0, right = 0;
    std::memcpy(&left, before + i * sizeof(float), sizeof(float));
    std::memcpy(&right, after + i * sizeof(float), sizeof(float));
    to[i] = right - left;
  }
}

constexpr Kernels kPlain = {"plain",
                            add_product,
                            load<base::bf16_to_float>,
                            load<base::f16_to_float>,
                            store<base::float_to_bf16>,
                            store<base::float_to_f16>,
                            subtract};

const Kernels& choose() noexcept {
  const char* const asked = std::getenv("FERRULE_KERNELS");
  const std::string_view name = asked == nullptr ? "" : asked;
  if (name == "plain") return kPlain;
  const auto* wide = avx512_kernels();
  const auto* narrow = avx2_kernels();
  if (wide != nullptr && name != "avx2") return *wide;
  return narrow != nullptr ? *narrow : kPlain;
}

}  // namespace

const Kernels* plain_kernels() noexcept { return &kPlain; }

const Kernels& kernels() noexcept {
  static const Kernels& chosen = choose();
  return chosen;
}

}  // namespace ferrule::merging
