// SPDX-License-Identifier: Apache-2.0
#include "io/zeroed_floats.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <new>
#include <utility>

namespace ferrule::io {
namespace {

TEST(ZeroedFloats, AllAreZeroAtFirstAndCanBeChanged) {
  ZeroedFloats floats(3'000'000);
  ASSERT_EQ(floats.size(), 3'000'000U);
  EXPECT_TRUE(std::all_of(floats.data(), floats.data() + floats.size(),
                          [](float value) { return value == 0; }));
  floats.data()[2'999'999] = 3;
  EXPECT_EQ(floats.data()[floats.size() - 1], 3);
}

TEST(ZeroedFloats, MovingLeavesTheFloatsWhereTheyAre) {
  ZeroedFloats floats(5);
  floats.data()[4] = 2;
  const float* const at = floats.data();
  ZeroedFloats taken(std::move(floats));
  EXPECT_EQ(taken.data(), at);
  ZeroedFloats other(7);
  other = std::move(taken);
  EXPECT_EQ(other.data(), at);
  EXPECT_EQ(other.size(), 5U);
  EXPECT_EQ(other.data()[4], 2);
}

TEST(ZeroedFloats, NoneNeedNoMemory) {
  EXPECT_EQ(ZeroedFloats().data(), nullptr);
  EXPECT_EQ(ZeroedFloats(0).data(), nullptr);
}

TEST(ZeroedFloats, MoreThanThereCanBeIsBadAlloc) {
  EXPECT_THROW(ZeroedFloats(std::numeric_limits<std::size_t>::max() / 2), std::bad_alloc);
  EXPECT_THROW(ZeroedFloats(std::size_t{1} << 60), std::bad_alloc);
}

}  // namespace
}  // namespace ferrule::io
