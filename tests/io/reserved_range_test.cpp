// SPDX-License-Identifier: Apache-2.0
#include "io/reserved_range.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace ferrule::io {
namespace {

TEST(ReservedRange, ReadsAsZerosWithoutTakingMemory) {
  const auto range = ReservedRange::of(std::uint64_t{1} << 40);
  ASSERT_TRUE(range) << range.error().to_string();
  const auto bytes = range->bytes();
  EXPECT_EQ(bytes.size(), std::size_t{1} << 40);
  EXPECT_EQ(bytes.front(), std::byte{0});
  EXPECT_EQ(bytes.back(), std::byte{0});
}

TEST(ReservedRange, MovingKeepsTheAddresses) {
  auto range = ReservedRange::of(4096);
  ASSERT_TRUE(range);
  const auto* data = range->bytes().data();
  ReservedRange other = *std::move(range);
  EXPECT_EQ(other.bytes().data(), data);
  ReservedRange third;
  third = std::move(other);
  EXPECT_EQ(third.bytes().data(), data);
}

TEST(ReservedRange, NothingNeedsNoAddresses) {
  const auto range = ReservedRange::of(0);
  ASSERT_TRUE(range);
  EXPECT_TRUE(range->bytes().empty());
}

TEST(ReservedRange, MoreThanThereAreIsRefused) {
  for (const auto bytes : {std::uint64_t{1} << 62, ~std::uint64_t{0}}) {
    const auto range = ReservedRange::of(bytes);
    ASSERT_FALSE(range);
    EXPECT_EQ(range.error().code, ErrorCode::kLimitExceeded);
  }
}

}  // namespace
}  // namespace ferrule::io
