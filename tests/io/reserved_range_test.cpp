// SPDX-License-Identifier: Apache-2.0
#include "io/reserved_range.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <utility>

namespace ferrule::io {
namespace {

TEST(ReservedRange, ReadsAsZerosAndTakesNoMemory) {
  const auto range = ReservedRange::of(std::uint64_t{1} << 36);  // 64 GiB
  ASSERT_TRUE(range) << range.error().to_string();
  EXPECT_EQ(range->bytes().size(), std::uint64_t{1} << 36);
  EXPECT_EQ(range->bytes().front(), std::byte{0});
  EXPECT_EQ(range->bytes()[std::size_t{1} << 35], std::byte{0});
}

TEST(ReservedRange, TheAddressesStayWhenItMoves) {
  auto range = ReservedRange::of(4096).value();
  const auto* data = range.bytes().data();
  const ReservedRange moved = std::move(range);
  EXPECT_EQ(moved.bytes().data(), data);
  EXPECT_EQ(moved.bytes().size(), 4096U);
}

TEST(ReservedRange, NothingIsNothing) {
  EXPECT_TRUE(ReservedRange().bytes().empty());
  const auto none = ReservedRange::of(0);
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->bytes().empty());
}

TEST(ReservedRange, MoreAddressesThanThereAreAreRefused) {
  const auto range = ReservedRange::of(std::uint64_t{1} << 62);
  ASSERT_FALSE(range);
  EXPECT_EQ(range.error().code, ErrorCode::kLimitExceeded);
}

}  // namespace
}  // namespace ferrule::io
