// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "regex/engine.hpp"
#include "regex/python_regex.hpp"

namespace ferrule::regex {
namespace {

/// Random expressions of Python over a few letters.
class Expressions {
 public:
  explicit Expressions(unsigned seed) : random_(seed) {}

  std::string next() { return alternatives(3); }
  std::string text() {
    std::string out;
    for (auto size = pick(9); size > 0; --size) out += "ab._\n1A"[pick(7)];
    return out;
  }

 private:
  std::size_t pick(std::size_t count) { return random_() % count; }

  std::string alternatives(int depth) {
    std::string out = sequence(depth);
    while (pick(4) == 0) out += "|" + sequence(depth);
    return out;
  }
  std::string sequence(int depth) {
    std::string out;
    for (auto size = pick(4); size > 0; --size) {
      constexpr const char* kRepeats[] = {"*", "+", "?", "{1,2}", "*?", "+?", "{2}", "*+", "{,2}?"};
      const bool is_position = pick(6) == 0;
      out += is_position ? position() : item(depth);
      if (!is_position && pick(3) == 0) out += kRepeats[pick(std::size(kRepeats))];
    }
    return out;
  }
  std::string position() {
    constexpr const char* kPositions[] = {"^", "$", "\\b", "\\B", "\\A", "\\Z"};
    return kPositions[pick(std::size(kPositions))];
  }
  std::string item(int depth) {
    constexpr const char* kItems[] = {"a",    "b",     ".",   "\\.", "_",      "[ab]",
                                      "[^a]", "[a-z]", "\\w", "\\d", "[\\W1]", "\\S"};
    if (depth == 0 || pick(3) != 0) return kItems[pick(std::size(kItems))];
    constexpr const char* kOpen[] = {"(", "(?:", "(?=", "(?!", "(?>", "(?i:", "(?s:", "(?m:"};
    return kOpen[pick(std::size(kOpen))] + alternatives(depth - 1) + ")";
  }

  std::mt19937 random_;
};

TEST(SmallEngine, SaysWhatPcre2Says) {
  Expressions expressions(7);
  int compared = 0;
  for (int i = 0; i < 20'000; ++i) {
    const auto expression = expressions.next();
    const auto translated = translate_python_regex(expression);
    if (!translated) continue;
    const auto large = compile_with_pcre2(expression, *translated);
    const auto small = compile_small(expression, *translated);
    ASSERT_TRUE(large && small) << expression;
    for (int k = 0; k < 4; ++k) {
      const auto text = expressions.text();
      for (const Anchor anchor : {Anchor::kNone, Anchor::kStart, Anchor::kBoth}) {
        std::vector<std::string_view> ours;
        std::vector<std::string_view> theirs;
        const auto a = (*small)->run(text, anchor, &ours, true);
        const auto b = (*large)->run(text, anchor, &theirs, true);
        if (!a || !b) continue;  // Too many steps for one of them.
        ASSERT_EQ(*a, *b) << expression << " on " << text;
        if (*a) {
          ASSERT_EQ(ours[0], theirs[0]) << expression << " on " << text;
        }
        ++compared;
      }
    }
  }
  EXPECT_GT(compared, 100'000);
}

TEST(SmallEngine, KnowsThatItDoesNotKnowUnicode) {
  const auto match = [](std::string_view expression, std::string_view text) {
    return compile_small(expression, translate_python_regex(expression).value())
        .value()
        ->run(text, Anchor::kStart, nullptr, false);
  };
  EXPECT_TRUE(match("é.x", "éßx").value());
  EXPECT_TRUE(match("[à-ü]", "é").value());
  EXPECT_TRUE(match("\\s", "\xc2\xa0").value());
  EXPECT_EQ(match("\\w", "é").error().rule, "CF-21");
  EXPECT_EQ(match("(?i)k", "\xe2\x84\xaa").error().rule, "CF-21");
  EXPECT_FALSE(match("a", "\xff").value());
}

TEST(SmallEngine, SlowExpressionsEnd) {
  const std::string text = std::string(60, 'a') + "!";
  for (const std::string_view slow : {"(a+)+$", "(a|a)*$", "(.*a){20}$", "(?=(a+)+$)a", "(a*)*b"}) {
    const auto engine = compile_small(slow, translate_python_regex(slow).value());
    ASSERT_TRUE(engine) << slow;
    const auto found = (*engine)->run(text, Anchor::kStart, nullptr, false);
    ASSERT_FALSE(found) << slow;
    EXPECT_EQ(found.error().rule, "CF-22");
  }
}

}  // namespace
}  // namespace ferrule::regex
