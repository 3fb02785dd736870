// SPDX-License-Identifier: Apache-2.0
#include "update/fold.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/float_convert.hpp"

namespace ferrule::update {
namespace {

std::vector<std::byte> every_half() {
  std::vector<std::byte> bytes(2 * 65536);
  for (unsigned i = 0; i < 65536; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    std::memcpy(bytes.data() + 2 * i, &bits, 2);
  }
  return bytes;
}

TEST(Fold, EveryHalfIsMultipliedInFloatAndRoundedOnce) {
  for (const double factor : {0.5, 2.0, 1.7, -3.0, 1e-4}) {
    auto bytes = every_half();
    const auto result = multiply(Dtype::kF16, bytes, factor);
    std::uint64_t overflowed = 0, vanished = 0;
    for (unsigned i = 0; i < 65536; ++i) {
      const float before = base::f16_to_float(static_cast<std::uint16_t>(i));
      const auto want = base::float_to_f16(before * static_cast<float>(factor));
      std::uint16_t found = 0;
      std::memcpy(&found, bytes.data() + 2 * i, 2);
      ASSERT_EQ(found, want) << i << " times " << factor;
      if (!std::isfinite(before)) continue;
      if (!std::isfinite(base::f16_to_float(want))) ++overflowed;
      if (before != 0 && base::f16_to_float(want) == 0) ++vanished;
    }
    EXPECT_EQ(result.overflowed, overflowed) << factor;
    EXPECT_EQ(result.vanished, vanished) << factor;
    EXPECT_FALSE(result.exact) << factor;
  }
}

TEST(Fold, APowerOfTwoIsExactWhereNothingIsLost) {
  const float values[] = {1.5F, -0x1p-100F, 3e30F, 0.0F};
  std::vector<std::byte> bytes(sizeof values);
  std::memcpy(bytes.data(), values, sizeof values);
  EXPECT_TRUE(multiply(Dtype::kF32, bytes, 4).exact);
  EXPECT_FALSE(multiply(Dtype::kF32, bytes, 1.0 / 3).exact);
}

TEST(Fold, RunsAreFilledUpWithZeros) {
  const std::byte bytes[] = {std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
  const auto padded = pad_runs(bytes, 2, 3);
  const std::vector<std::byte> want = {std::byte{1}, std::byte{2}, std::byte{0},
                                       std::byte{3}, std::byte{4}, std::byte{0}};
  EXPECT_EQ(padded, want);
}

TEST(Fold, ASplitStrengthIsAPowerOfTwoOnA) {
  for (const double strength : {1.0, 2.0, 8.0, 0.3, -5.0, 1e10, 1e-10}) {
    const auto [a, b] = split_strength(strength);
    EXPECT_EQ(a * b, strength);
    int exponent = 0;
    EXPECT_EQ(std::frexp(a, &exponent), 0.5) << strength;
  }
  EXPECT_EQ(split_strength(0).b, 0);
}

}  // namespace
}  // namespace ferrule::update
