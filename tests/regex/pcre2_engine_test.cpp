// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "regex/engine.hpp"

namespace ferrule::regex {
namespace {

TEST(Pcre2Engine, AnchorsAndGivesGroups) {
  const auto engine = compile_with_pcre2("(a)(b)?", "(a)(b){0,1}");
  ASSERT_TRUE(engine);
  std::vector<std::string_view> groups;
  EXPECT_TRUE((*engine)->run("xa", Anchor::kNone, &groups, true).value());
  ASSERT_EQ(groups.size(), 3U);
  EXPECT_EQ(groups[1], "a");
  EXPECT_EQ(groups[2].data(), nullptr);
  EXPECT_FALSE((*engine)->run("xa", Anchor::kStart, nullptr, false).value());
  EXPECT_FALSE((*engine)->run("abc", Anchor::kBoth, nullptr, false).value());
  EXPECT_FALSE((*engine)->run("\xff", Anchor::kNone, nullptr, false).value());
}

TEST(Pcre2Engine, SaysWhatItCannotDo) {
  const auto engine = compile_with_pcre2("theirs", "(");
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().rule, "CF-21");
  EXPECT_NE(engine.error().message.find("theirs"), std::string::npos);
}

}  // namespace
}  // namespace ferrule::regex
