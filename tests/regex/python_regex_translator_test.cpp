// SPDX-License-Identifier: Apache-2.0
#include "regex/python_regex_translator.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string_view>

namespace ferrule::regex {
namespace {

TEST(Widths, AddUpAndStopAtUnbounded) {
  const Width sum = Width{1, 2} + Width{3, kUnbounded};
  EXPECT_EQ(sum.least, 4U);
  EXPECT_EQ(sum.most, kUnbounded);
  EXPECT_EQ((Width{kUnbounded, kUnbounded} + Width{1, 1}).least, kUnbounded);
}

TEST(Widths, MultiplyWithoutOverflow) {
  EXPECT_EQ(times(0, kUnbounded), 0U);
  EXPECT_EQ(times(kUnbounded, 0), 0U);
  EXPECT_EQ(times(3, 4), 12U);
  EXPECT_EQ(times(kUnbounded, 1), kUnbounded);
  EXPECT_EQ(times(kUnbounded, kUnbounded), kUnbounded);
  EXPECT_EQ(times(1U << 16, 1U << 16), kUnbounded);
  EXPECT_EQ(times(UINT64_MAX, UINT64_MAX), kUnbounded);
}

TEST(Letters, AreAsciiOnly) {
  EXPECT_TRUE(is_letter('a') && is_letter('Z'));
  EXPECT_FALSE(is_letter('@') || is_letter('[') || is_letter('`') || is_letter('{') ||
               is_letter('\xe9'));
  EXPECT_TRUE(is_octal('7'));
  EXPECT_FALSE(is_octal('8'));
  EXPECT_TRUE(is_digit('9'));
  EXPECT_FALSE(is_digit(':'));
}

// The text is read by PCRE2 with PCRE2_ALT_CIRCUMFLEX: what both spell alike stays.
TEST(Translator, KeepsWhatMeansTheSame) {
  for (const std::string_view text :
       {"", "abc", "a|b", "(a)(b)", "a{2,3}", "x.y", "(?:a)", "(?=a)"}) {
    EXPECT_EQ(Translator(text).run().value(), text);
  }
}

TEST(Translator, SpellsQuantifiersInBraces) {
  EXPECT_EQ(Translator("a?b*c+d*?").run().value(), "a{0,1}b{0,}c{1,}d{0,}?");
}

TEST(Translator, MessagesNameThePatternAndThePlace) {
  const auto result = Translator("ab(").run();
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("\"ab(\""), std::string_view::npos)
      << result.error().message;
}

}  // namespace
}  // namespace ferrule::regex
