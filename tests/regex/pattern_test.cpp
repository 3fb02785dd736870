// SPDX-License-Identifier: Apache-2.0
#include "regex/pattern.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace ferrule::regex {
namespace {

TEST(Pattern, AnchorsAsPythonDoes) {
  const auto pattern = Pattern::compile(".*layers\\.1");
  ASSERT_TRUE(pattern);
  EXPECT_TRUE(*pattern->fullmatch("model.layers.1"));
  EXPECT_FALSE(*pattern->fullmatch("model.layers.11"));
  EXPECT_TRUE(*pattern->match("model.layers.11"));
  EXPECT_TRUE(*Pattern::compile("q_proj").value().search("model.q_proj.x"));
  EXPECT_FALSE(*Pattern::compile("q_proj").value().match("model.q_proj.x"));
}

TEST(Pattern, InvalidInPythonIsCorrupt) {
  for (const std::string_view text :
       {"(", "a**", "[z-a]", "(?<=a+)b", "(?P<n>a)(?P<n>b)", "\\q", "\\1", "a(?i)b", "*a", "\xff",
        "(?", "[", "\\", "(?P=n)", "(?(1)a|b|c)"}) {
    const auto pattern = Pattern::compile(text);
    ASSERT_FALSE(pattern) << text;
    EXPECT_EQ(pattern.error().code, ErrorCode::kCorrupt) << text;
    EXPECT_EQ(pattern.error().rule, "CF-20") << text;
  }
}

TEST(Pattern, ValidPythonThatTheEngineLacksIsUnsupported) {
  for (const std::string& text : {std::string("\\N{BULLET}"), std::string("a{70000}"),
                                  std::string(150, '(') + std::string(150, ')')}) {
    const auto pattern = Pattern::compile(text);
    ASSERT_FALSE(pattern) << text;
    EXPECT_EQ(pattern.error().code, ErrorCode::kUnsupported) << text;
    EXPECT_EQ(pattern.error().rule, "CF-21") << text;
  }
}

TEST(Pattern, SlowOnesEnd) {
  const std::string text = std::string(40, 'a') + "!";
  for (const std::string_view slow :
       {"(a+)+$", "(a|a)*$", "(a|aa)+$", "(.*a){20}$", "([a-z]+)*\\.x"}) {
    const auto pattern = Pattern::compile(slow);
    ASSERT_TRUE(pattern) << slow;
    const auto hit = pattern->match(text);
    if (hit) continue;  // The engine may see at once that it cannot match.
    EXPECT_EQ(hit.error().code, ErrorCode::kLimitExceeded) << slow;
    EXPECT_EQ(hit.error().rule, "CF-22") << slow;
  }
  EXPECT_FALSE(Pattern::compile("(a+)+$").value().match(text));
}

TEST(Pattern, AnEntryMatchesAsTheWholeExpressionDoes) {
  const char* const texts[] = {"q_proj", "0.q_proj", "l.q_proj", "", ".", "q_pro.", "a|b", "é"};
  const char* const paths[] = {"q_proj",
                               "x.q_proj",
                               "xq_proj",
                               "layers.10.q_proj",
                               "",
                               "q_proj\n",
                               "x.q_proj\n",
                               "al.q_proj",
                               "a.l\nq_proj",
                               ".",
                               "a.l9q_proj",
                               "layers.q_pro\xc3\xa9",
                               "a.b",
                               "ab",
                               "a.\xc3\xa9"};
  for (const std::string text : texts) {
    const auto entry = Pattern::compile_entry(text);
    const auto whole = Pattern::compile("(.*\\.)?(" + text + ")$");
    ASSERT_TRUE(entry && whole) << text;
    for (const std::string path : paths) {
      EXPECT_EQ(*entry->match(path), *whole->match(path)) << text << " on " << path;
    }
  }
}

}  // namespace
}  // namespace ferrule::regex
