// SPDX-License-Identifier: Apache-2.0
#include "base/float_convert.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace ferrule::base {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

bool is_half_nan(std::uint16_t bits) { return (bits & 0x7fffU) > 0x7c00U; }
bool is_bfloat_nan(std::uint16_t bits) { return (bits & 0x7fffU) > 0x7f80U; }

/// IEEE 754-2019, 3.4, by arithmetic: (-1)^S * 2^(E - bias) * (1 + T * 2^(1 - p)).
double value_of(std::uint16_t bits, int fraction_bits, int bias) {
  const int fraction = bits & ((1 << fraction_bits) - 1);
  const int exponent = (bits & 0x7fff) >> fraction_bits;
  const double significand = std::ldexp(fraction, -fraction_bits) + (exponent == 0 ? 0.0 : 1.0);
  const double magnitude = std::ldexp(significand, std::max(exponent, 1) - bias);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

TEST(FloatConvert, EveryHalfHasItsIeeeValue) {
  for (std::uint32_t i = 0; i <= 0xffff; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    const float value = f16_to_float(bits);
    if (is_half_nan(bits)) {
      ASSERT_TRUE(std::isnan(value)) << std::hex << i;
      continue;
    }
    const auto expected =
        (bits & 0x7fffU) == 0x7c00U ? std::copysign(kInfinity, value) : value_of(bits, 10, 15);
    ASSERT_EQ(value, expected) << std::hex << i;
    ASSERT_EQ(std::signbit(value), (bits & 0x8000U) != 0) << std::hex << i;
  }
}

TEST(FloatConvert, EveryHalfComesBackFromFloat) {
  for (std::uint32_t i = 0; i <= 0xffff; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    const auto back = float_to_f16(f16_to_float(bits));
    if (is_half_nan(bits)) {
      ASSERT_TRUE(is_half_nan(back)) << std::hex << i;
    } else {
      ASSERT_EQ(back, bits) << std::hex << i;
    }
  }
}

TEST(FloatConvert, BetweenTwoHalvesTheNearestWinsAndTheEvenOneAtATie) {
  for (std::uint16_t low = 0; low < 0x7bff; ++low) {
    const auto high = static_cast<std::uint16_t>(low + 1);
    const auto middle = static_cast<float>((value_of(low, 10, 15) + value_of(high, 10, 15)) / 2);
    const auto even = low % 2 == 0 ? low : high;
    ASSERT_EQ(float_to_f16(middle), even) << std::hex << low;
    ASSERT_EQ(float_to_f16(std::nextafter(middle, 0.0F)), low) << std::hex << low;
    ASSERT_EQ(float_to_f16(std::nextafter(middle, kInfinity)), high) << std::hex << low;
    ASSERT_EQ(float_to_f16(-middle), even | 0x8000) << std::hex << low;
  }
}

TEST(FloatConvert, LargeFloatsBecomeAnInfiniteHalf) {
  EXPECT_EQ(float_to_f16(65504.0F), 0x7bff);
  EXPECT_EQ(float_to_f16(std::nextafter(65520.0F, 0.0F)), 0x7bff);
  EXPECT_EQ(float_to_f16(65520.0F), 0x7c00);
  EXPECT_EQ(float_to_f16(-std::numeric_limits<float>::max()), 0xfc00);
  EXPECT_EQ(float_to_f16(kInfinity), 0x7c00);
}

TEST(FloatConvert, SmallFloatsBecomeAZeroHalfWithTheirSign) {
  EXPECT_EQ(float_to_f16(0x1p-25F), 0);  // Half of the smallest subnormal: to even.
  EXPECT_EQ(float_to_f16(std::nextafter(0x1p-25F, 1.0F)), 1);
  EXPECT_EQ(float_to_f16(-std::numeric_limits<float>::denorm_min()), 0x8000);
  EXPECT_EQ(float_to_f16(-0.0F), 0x8000);
}

TEST(FloatConvert, EveryBfloatIsTheUpperHalfOfItsFloat) {
  for (std::uint32_t i = 0; i <= 0xffff; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    const float value = bf16_to_float(bits);
    ASSERT_EQ(std::bit_cast<std::uint32_t>(value), i << 16);
    if (is_bfloat_nan(bits)) {
      ASSERT_TRUE(is_bfloat_nan(float_to_bf16(value))) << std::hex << i;
    } else {
      ASSERT_EQ(float_to_bf16(value), bits) << std::hex << i;
    }
  }
}

TEST(FloatConvert, BetweenTwoBfloatsTheNearestWinsAndTheEvenOneAtATie) {
  for (std::uint16_t low = 0; low < 0x7f7f; ++low) {
    const auto high = static_cast<std::uint16_t>(low + 1);
    const auto middle = static_cast<float>((value_of(low, 7, 127) + value_of(high, 7, 127)) / 2);
    const auto even = low % 2 == 0 ? low : high;
    ASSERT_EQ(float_to_bf16(middle), even) << std::hex << low;
    ASSERT_EQ(float_to_bf16(std::nextafter(middle, 0.0F)), low) << std::hex << low;
    ASSERT_EQ(float_to_bf16(std::nextafter(middle, kInfinity)), high) << std::hex << low;
  }
}

TEST(FloatConvert, TheLargestFloatsRoundToAnInfiniteBfloat) {
  EXPECT_EQ(float_to_bf16(std::bit_cast<float>(0x7f7f7fffU)), 0x7f7f);
  EXPECT_EQ(float_to_bf16(std::bit_cast<float>(0x7f7f8000U)), 0x7f80);
  EXPECT_EQ(float_to_bf16(-std::numeric_limits<float>::max()), 0xff80);
}

// The payload of a NaN may sit in bits that the short type does not have.
TEST(FloatConvert, NoNanBecomesAnInfinity) {
  for (const auto bits : {0x7f800001U, 0x7fc00000U, 0x7fffffffU, 0xff800001U, 0xffffffffU}) {
    const auto nan = std::bit_cast<float>(bits);
    EXPECT_TRUE(is_half_nan(float_to_f16(nan))) << std::hex << bits;
    EXPECT_TRUE(is_bfloat_nan(float_to_bf16(nan))) << std::hex << bits;
  }
}

}  // namespace
}  // namespace ferrule::base
