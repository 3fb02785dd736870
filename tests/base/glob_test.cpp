// SPDX-License-Identifier: Apache-2.0
#include "base/glob.hpp"

#include <gtest/gtest.h>

#include <string>

namespace ferrule::base {
namespace {

TEST(Globs, MatchTheWholeText) {
  EXPECT_TRUE(glob_matches("", ""));
  EXPECT_TRUE(glob_matches("*", ""));
  EXPECT_TRUE(glob_matches("*.bin", "a/b.bin"));
  EXPECT_TRUE(glob_matches("layers.?.*_proj", "layers.3.self_attn.q_proj"));
  EXPECT_TRUE(glob_matches("a*b*c", "a-b-b-c"));
  EXPECT_TRUE(glob_matches("a**", "a"));  // Any number of stars matches nothing.
  EXPECT_FALSE(glob_matches("", "a"));
  EXPECT_FALSE(glob_matches("?", ""));
  EXPECT_FALSE(glob_matches("*.bin", "a.bin.txt"));
  EXPECT_FALSE(glob_matches("layers.?.q", "layers.10.q"));
}

TEST(Globs, OfManyStarsDoNotTryEveryDivision) {
  std::string glob;
  for (int i = 0; i < 200; ++i) glob += "a*";
  EXPECT_FALSE(glob_matches(glob + "b", std::string(20000, 'a')));
}

}  // namespace
}  // namespace ferrule::base
