// SPDX-License-Identifier: Apache-2.0
#include "peft/key_path.hpp"

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

namespace ferrule::peft {
namespace {

using Parts = std::vector<std::string_view>;

TEST(KeyPath, SplitsAtEveryDot) {
  EXPECT_EQ(split("a.b.c"), (Parts{"a", "b", "c"}));
  EXPECT_EQ(split("a"), (Parts{"a"}));
}

TEST(KeyPath, EmptyComponentsStay) {
  EXPECT_EQ(split(""), (Parts{""}));
  EXPECT_EQ(split(".a..b."), (Parts{"", "a", "", "b", ""}));
}

TEST(KeyPath, ComponentsAreViewsIntoTheKey) {
  const std::string_view key = "base_model.model.q";
  EXPECT_EQ(split(key)[2].data(), key.data() + kModelPrefix.size());
}

}  // namespace
}  // namespace ferrule::peft
