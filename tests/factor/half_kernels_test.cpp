// SPDX-License-Identifier: Apache-2.0
#include "factor/half_kernels.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "base/float_convert.hpp"

namespace ferrule::factor {
namespace {

std::vector<const HalfKernels*> fast_kernels() {
  std::vector<const HalfKernels*> sets;
  for (const auto* set : {avx512_half_kernels(), amx_half_kernels()}) {
    if (set != nullptr) sets.push_back(set);
  }
  return sets;
}

std::vector<float> random_floats(std::size_t count) {
  std::mt19937 engine(9);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (auto& value : values) value = normal(engine);
  return values;
}

std::vector<std::uint16_t> random_halves(std::size_t count) {
  std::vector<std::uint16_t> halves;
  for (const float value : random_floats(count)) halves.push_back(base::float_to_bf16(value));
  return halves;
}

TEST(HalfKernels, SplitAsThePlainOnesDo) {
  constexpr std::size_t kStride = 37;
  auto values = random_floats(kTileRows * kStride);
  values[1] = std::numeric_limits<float>::infinity();
  values[2] = 0x1.01p0F;  // Half way between two.
  values[3] = -0.0F;
  for (const auto* kernels : fast_kernels()) {
    std::vector<std::uint16_t> hi(kTileElements), lo(kTileElements), plain_hi(hi), plain_lo(lo);
    kernels->split(values.data(), kStride, hi.data(), lo.data());
    plain_half_kernels()->split(values.data(), kStride, plain_hi.data(), plain_lo.data());
    EXPECT_EQ(hi, plain_hi) << kernels->name;
    lo[1] = plain_lo[1] = 0;  // Some kind of not a number.
    EXPECT_EQ(lo, plain_lo) << kernels->name;
  }
}

TEST(HalfKernels, AddUpTheSquaresOfWhatTheySplit) {
  const std::vector<float> values(kTileElements, 3.0F);
  std::vector<std::uint16_t> hi(kTileElements), lo(kTileElements);
  for (const auto* kernels : fast_kernels()) {
    EXPECT_EQ(kernels->split(values.data(), kTileDepth, hi.data(), lo.data()), 9.0 * kTileElements);
  }
}

TEST(HalfKernels, WeaveAsThePlainOnesDo) {
  const auto tiles = random_halves(2 * kTileElements);
  for (const auto* kernels : fast_kernels()) {
    std::vector<std::uint16_t> woven(2 * kTileElements), plain(woven);
    kernels->weave(tiles.data(), tiles.data() + kTileElements, woven.data(),
                   woven.data() + kTileElements);
    plain_half_kernels()->weave(tiles.data(), tiles.data() + kTileElements, plain.data(),
                                plain.data() + kTileElements);
    EXPECT_EQ(woven, plain) << kernels->name;
  }
}

TEST(HalfKernels, MultiplyAsThePlainOnesDo) {
  constexpr std::size_t kCount = 3, kStride = 40;
  const auto a = random_halves(2 * kCount * kTileElements);
  const auto b = random_halves(2 * kCount * kTileElements);
  const auto before = random_floats(2 * kTileRows * kStride);
  for (const auto* kernels : fast_kernels()) {
    for (const bool adds : {false, true}) {
      auto sums = before, plain = before;
      TileProduct product{.a = a.data(),
                          .a_row = kCount * kTileElements,
                          .a_step = kTileElements,
                          .b = b.data(),
                          .b_column = kTileElements,
                          .b_step = 2 * kTileElements,
                          .count = kCount,
                          .c = sums.data(),
                          .c_row = kTileRows * kStride,
                          .c_column = kTileRows,
                          .c_stride = kStride,
                          .adds = adds};
      kernels->begin();
      kernels->multiply(product);
      kernels->end();
      product.c = plain.data();
      plain_half_kernels()->multiply(product);
      for (std::size_t i = 0; i < sums.size(); ++i) {
        EXPECT_NEAR(sums[i], plain[i], 1e-4) << kernels->name << " element " << i;
      }
    }
  }
}

}  // namespace
}  // namespace ferrule::factor
