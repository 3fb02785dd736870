// SPDX-License-Identifier: Apache-2.0
#include "format/card/card_text.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace ferrule::format {
namespace {

struct Row {
  const char* what;
  std::string_view body;
  std::string_view expected;
};

// The rows are what PEFT's create_or_update_model_card makes of the same lines.
TEST(FrameworkLine, StandsWherePeftPutsIt) {
  const Row rows[] = {
      {"no heading", "# Title\n", "# Title\n### Framework versions\n\n- PEFT 0.21.0"},
      {"no heading, last line open", "# Title", "# Title\n### Framework versions\n\n- PEFT 0.21.0"},
      {"nothing", "", "### Framework versions\n\n- PEFT 0.21.0"},
      {"heading with a list", "### Framework versions\n\n- Torch 2\n",
       "### Framework versions\n\n- PEFT 0.21.0\n- Torch 2\n"},
      {"heading is the last line", "### Framework versions\n",
       "### Framework versions\n- PEFT 0.21.0"},
      {"heading and an empty line", "### Framework versions\n\n",
       "### Framework versions\n\n- PEFT 0.21.0"},
      {"already there", "x\n- PEFT 0.21.0\ny\n", "x\n- PEFT 0.21.0\ny\n"},
      {"another version is there", "### Framework versions\n\n- PEFT 0.20.0\n",
       "### Framework versions\n\n- PEFT 0.21.0\n- PEFT 0.20.0\n"},
      {"part of a longer line", "see - PEFT 0.21.0\n",
       "see - PEFT 0.21.0\n### Framework versions\n\n- PEFT 0.21.0"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(with_framework_line(row.body, "0.21.0", "\n"), row.expected) << row.what;
  }
}

TEST(FrameworkLine, UsesTheLineBreakOfTheCard) {
  EXPECT_EQ(with_framework_line("# T\r\n", "1", "\r\n"),
            "# T\r\n### Framework versions\r\n\r\n- PEFT 1");
}

// str.splitlines also ends a line there.
TEST(FrameworkLine, IsFoundBetweenAnyLineBreaksOfPython) {
  for (const std::string_view eol : {"\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e",
                                     "\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9"}) {
    const std::string body = "a" + std::string(eol) + "- PEFT 1" + std::string(eol) + "b";
    EXPECT_EQ(with_framework_line(body, "1", "\n"), body);
  }
}

TEST(GeneratedParts, AreFoundUntouchedBetweenOtherText) {
  const auto marked = mark_generated("Made by a program.\n");
  const auto body = "before\n" + marked + "\nafter\n";
  const auto part = find_generated(body);
  ASSERT_TRUE(part);
  EXPECT_EQ(part->content, "Made by a program.\n");
  EXPECT_TRUE(part->is_untouched);
}

TEST(GeneratedParts, CarryTheFnv1aOfTheirContent) {
  // FNV-1a 64 of "a" from the test vectors of its authors: af63dc4c8601ec8c.
  EXPECT_EQ(mark_generated("a"), "<!-- ferrule:begin af63dc4c8601ec8c -->\na<!-- ferrule:end -->");
  EXPECT_EQ(mark_generated(""), "<!-- ferrule:begin cbf29ce484222325 -->\n<!-- ferrule:end -->");
}

TEST(GeneratedParts, AnyEditShows) {
  const auto marked = mark_generated("text\n");
  for (std::size_t i = 0; i < marked.size(); ++i) {
    auto edited = marked;
    edited[i] = static_cast<char>(edited[i] ^ 1);
    const auto part = find_generated(edited);
    EXPECT_FALSE(part && part->is_untouched) << i;
  }
}

TEST(GeneratedParts, AreNotMadeOfBrokenMarks) {
  const auto marked = mark_generated("text\n");
  EXPECT_FALSE(find_generated(""));
  EXPECT_FALSE(find_generated("<!-- ferrule:end -->"));
  for (std::size_t size = 0; size < marked.size(); ++size) {
    const auto part = find_generated(std::string_view(marked).substr(0, size));
    EXPECT_FALSE(part && part->is_untouched) << size;
  }
  EXPECT_FALSE(find_generated("<!-- ferrule:begin <!-- ferrule:end -->")->is_untouched);
}

TEST(GeneratedParts, TheFirstCounts) {
  const auto body = mark_generated("one\n") + "\n" + mark_generated("two\n");
  EXPECT_EQ(find_generated(body)->content, "one\n");
}

}  // namespace
}  // namespace ferrule::format
