// SPDX-License-Identifier: Apache-2.0
#include "base/shape_text.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace ferrule::base {
namespace {

TEST(ShapeText, ListsTheExtents) {
  EXPECT_EQ(shape_text(std::vector<std::uint64_t>{3, 24}), "[3, 24]");
  EXPECT_EQ(shape_text(std::vector<std::uint64_t>{7}), "[7]");
  EXPECT_EQ(shape_text({}), "[]");
}

}  // namespace
}  // namespace ferrule::base
