// SPDX-License-Identifier: Apache-2.0
#include "format/card/front_matter.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace ferrule::format {
namespace {

using Strings = std::vector<std::string>;
using Kind = YamlEntry::Kind;

std::string rule_of(std::string_view yaml) {
  const auto block = parse_yaml_block(yaml);
  return block ? "" : block.error().rule;
}

// MC-3
TEST(SplitCard, FindsTheFencesAsTheHubDoes) {
  const CardParts parts = split_card("---\na: b\n---\n\n# Title\n");
  EXPECT_TRUE(parts.has_front_matter);
  EXPECT_EQ(parts.yaml, "a: b");
  EXPECT_EQ(parts.body, "\n# Title\n");
  EXPECT_EQ(parts.eol, "\n");
}

TEST(SplitCard, PartsAlwaysJoinToTheText) {
  const std::string_view texts[] = {
      "",
      "# Title",
      "---\n---\n",
      "---\n\n---",
      "---\na: b\n--- \t\nbody",
      "\xef\xbb\xbf---\r\na: b\r\n---\r\nbody\r\n",
      "\xef\xbb\xbf# no front matter",
      "\n \n---\na: b\n---\nbody",
      "---\na: b\n----\nno end",
      "---\ra: b\r---\rbody",
      "--- a: b\n---\n",
  };
  for (const std::string_view text : texts) {
    const CardParts p = split_card(text);
    EXPECT_EQ(
        std::string(p.opening) + std::string(p.yaml) + std::string(p.closing) + std::string(p.body),
        text);
  }
}

TEST(SplitCard, KeepsTheByteOrderMarkOutOfTheFrontMatter) {
  const CardParts parts = split_card("\xef\xbb\xbf---\r\na: b\r\n---\r\nbody\r\n");
  EXPECT_TRUE(parts.has_front_matter);
  EXPECT_EQ(parts.yaml, "a: b");
  EXPECT_EQ(parts.eol, "\r\n");
}

TEST(ParseYamlBlock, TellsKindsApart) {
  const auto block = parse_yaml_block(
      "a: text\nb: 'on'\nc: on\nd:\ne: [x, y]\nf:\n- x\n- 1\ng: {}\nh: []\n\"i\": &x v\nj: *x\n");
  ASSERT_TRUE(block.has_value());
  const Kind kinds[] = {Kind::kString, Kind::kString, Kind::kScalar,  Kind::kNull,   Kind::kStrings,
                        Kind::kOther,  Kind::kOther,  Kind::kStrings, Kind::kString, Kind::kOther};
  ASSERT_EQ(block->entries.size(), std::size(kinds));
  for (std::size_t i = 0; i < std::size(kinds); ++i) {
    EXPECT_EQ(block->entries[i].kind, kinds[i]) << block->entries[i].key;
  }
  EXPECT_EQ(block->find("e")->items, (Strings{"x", "y"}));
  EXPECT_TRUE(block->find("g")->is_empty);
  EXPECT_TRUE(block->find("h")->is_empty);
  EXPECT_FALSE(block->find("e")->is_empty);
}

TEST(ParseYamlBlock, TheLastOfEqualKeysCounts) {
  const auto block = parse_yaml_block("a: 1st\na: 2nd\n");
  ASSERT_TRUE(block.has_value());
  EXPECT_EQ(block->find("a")->text, "2nd");
}

TEST(ParseYamlBlock, RefusesWhatIsNoMapping) {
  const std::string_view texts[] = {
      "- a",    "text",  "a: b: c",         "a: [",     "{a: b",      "a: 'b",
      "\ta: b", "a: *x", "a: b\n---\nc: d", "[],[],[]", "? [a]\n: b", "a: &x b\n- c"};
  for (const std::string_view text : texts) EXPECT_EQ(rule_of(text), "MC-4") << text;
}

TEST(ParseYamlBlock, RefusesWhatIsNoText) {
  using namespace std::string_view_literals;
  for (const std::string_view text : {"a: \0"sv, "a: \xff"sv, "a: \x1b[0m"sv, "\xef\xbb\xbf"sv}) {
    EXPECT_EQ(rule_of(text), "MC-2");
  }
}

TEST(ParseYamlBlock, BoundsSizeAndDepth) {
  EXPECT_EQ(rule_of(std::string(kMaxFrontMatterBytes + 1, 'a')), "MC-1");
  EXPECT_EQ(rule_of("a: " + std::string(100000, '[')), "MC-4");
  EXPECT_EQ(rule_of("a: " + std::string(100000, '{')), "MC-4");
  std::string dashes;
  for (int i = 0; i < 50000; ++i) dashes += "- ";
  EXPECT_EQ(rule_of("a:\n" + dashes), "MC-4");
}

TEST(ParseYamlBlock, AliasesCostNothing) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 60; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    const std::string name = "a" + std::to_string(i);
    bomb += name + ": &" + name + " [" + last + ", " + last + ", " + last + "]\n";
  }
  EXPECT_EQ(rule_of(bomb), "");
}

}  // namespace
}  // namespace ferrule::format
