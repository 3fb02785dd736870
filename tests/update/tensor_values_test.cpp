// SPDX-License-Identifier: Apache-2.0
#include "update/tensor_values.hpp"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "base/tensor_view_access.hpp"

namespace ferrule::update {
namespace {

template <typename Stored>
TensorView view(Dtype dtype, const std::vector<Stored>& values, const std::uint64_t& count) {
  return TensorViewAccess::unchecked(dtype, std::span(&count, 1), std::as_bytes(std::span(values)));
}

TEST(TensorValues, EveryFloatTypeIsReadExactly) {
  const std::uint64_t three = 3;
  const std::vector<double> want = {1.5, -2, 0.25};
  EXPECT_EQ(values_of(view<double>(Dtype::kF64, {1.5, -2, 0.25}, three)), want);
  EXPECT_EQ(values_of(view<float>(Dtype::kF32, {1.5F, -2, 0.25F}, three)), want);
  EXPECT_EQ(values_of(view<std::uint16_t>(Dtype::kF16, {0x3e00, 0xc000, 0x3400}, three)), want);
  EXPECT_EQ(values_of(view<std::uint16_t>(Dtype::kBF16, {0x3fc0, 0xc000, 0x3e80}, three)), want);
}

TEST(TensorValues, IntegersHaveNone) {
  const std::uint64_t two = 2;
  EXPECT_FALSE(values_of(view<std::int32_t>(Dtype::kI32, {1, 2}, two)));
  EXPECT_FALSE(has_values(Dtype::kI32));
  EXPECT_EQ(unit_roundoff(Dtype::kI32), 0);
}

TEST(TensorValues, APieceStartsWhereItIsAsked) {
  const std::uint64_t four = 4;
  const std::vector<float> values = {1, 2, 3, 4};
  std::array<double, 2> piece{};
  read_values(view(Dtype::kF32, values, four), 1, piece);
  EXPECT_EQ(piece, (std::array<double, 2>{2, 3}));
}

TEST(TensorValues, LongPiecesAreReadAsShortOnes) {
  const std::uint64_t count = 37;
  std::vector<std::uint16_t> bits;
  for (std::uint32_t i = 0; i < count; ++i) bits.push_back(static_cast<std::uint16_t>(i * 1771));
  for (const auto dtype : {Dtype::kF16, Dtype::kBF16}) {
    const auto tensor = view(dtype, bits, count);
    const auto all = values_of(tensor);
    for (std::size_t i = 0; i < count; ++i) {
      double one = 0;
      read_values(tensor, i, {&one, 1});
      EXPECT_EQ(std::bit_cast<std::uint64_t>((*all)[i]), std::bit_cast<std::uint64_t>(one)) << i;
    }
  }
}

TEST(TensorValues, AreFiniteIfAllAre) {
  std::vector<double> values(19, -1e308);
  EXPECT_TRUE(all_finite(values));
  EXPECT_TRUE(all_finite({}));
  for (const double bad : {std::numeric_limits<double>::infinity(), -std::nan("")}) {
    for (const std::size_t at : {0U, 18U}) {
      auto some = values;
      some[at] = bad;
      EXPECT_FALSE(all_finite(some));
    }
  }
}

// IEEE 754: half of the distance from 1 to the next number.
TEST(TensorValues, TheRoundoffIsThatOfTheType) {
  EXPECT_EQ(unit_roundoff(Dtype::kF64), 0x1p-53);
  EXPECT_EQ(unit_roundoff(Dtype::kF32), 0x1p-24);
  EXPECT_EQ(unit_roundoff(Dtype::kF16), 0x1p-11);
  EXPECT_EQ(unit_roundoff(Dtype::kBF16), 0x1p-8);
}

}  // namespace
}  // namespace ferrule::update
