// SPDX-License-Identifier: Apache-2.0
#include "format/card/front_matter.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "format/card/hub_id.hpp"
#include "format/card/yaml_scalar.hpp"

namespace ferrule::format {
namespace {

using Strings = std::vector<std::string>;
using Kind = YamlEntry::Kind;

YamlEdit set(std::string key, std::string value) { return {std::move(key), std::move(value)}; }
YamlEdit set(std::string key, Strings value) { return {std::move(key), std::move(value)}; }

const std::vector<YamlEdit>& peft_edits() {
  static const std::vector<YamlEdit> edits = {
      set("base_model", std::string("toy/base")), set("library_name", std::string("peft")),
      set("tags", Strings{"base_model:adapter:toy/base", "lora"})};
  return edits;
}

std::string edited(std::string_view yaml, const std::vector<YamlEdit>& edits = peft_edits(),
                   std::string_view eol = "\n") {
  auto result = edit_yaml_block(yaml, edits, eol);
  return result ? *result : "error " + result.error().rule;
}

std::string rule_of(std::string_view yaml) {
  const auto block = parse_yaml_block(yaml);
  return block ? "" : block.error().rule;
}

TEST(YamlScalar, IsQuotedWherePyYamlQuotes) {
  struct Case {
    std::string_view text;
    std::string_view dumped;
  };
  const Case cases[] = {
      {"toy/base", "toy/base"},
      {"base_model:adapter:toy/base", "base_model:adapter:toy/base"},
      {"", "''"},
      {"null", "'null'"},
      {"~", "'~'"},
      {"on", "'on'"},
      {"No", "'No'"},
      {"nO", "nO"},
      {"123", "'123'"},
      {"1_000", "'1_000'"},
      {"0x1F", "'0x1F'"},
      {"0o17", "0o17"},
      {"017", "'017'"},
      {"089", "089"},
      {"1.5", "'1.5'"},
      {"1e5", "1e5"},
      {"1.e+5", "'1.e+5'"},
      {".5", "'.5'"},
      {"+.5", "+.5"},
      {".inf", "'.inf'"},
      {"190:20:30", "'190:20:30'"},
      {"190:60", "190:60"},
      {"2024-01-02", "'2024-01-02'"},
      {"2024-1-2 3:04:05 +1", "'2024-1-2 3:04:05 +1'"},
      {"a: b", "'a: b'"},
      {"a #b", "'a #b'"},
      {"a#b", "a#b"},
      {"- a", "'- a'"},
      {"-a", "-a"},
      {"?a", "?a"},
      {"[a]", "'[a]'"},
      {"it's", "it's"},
      {"'a'", "'''a'''"},
      {" a", "' a'"},
      {"a\tb", "\"a\\tb\""},
      {"\xc3\xa9t\xc3\xa9", "\xc3\xa9t\xc3\xa9"},
      {"\xf0\x9f\x91\x80", "\xf0\x9f\x91\x80"},
      {"a\x07", "\"a\\a\""},
      {"a\nb", "'a\n\n  b'"},
      {"---", "'---'"},
  };
  for (const Case& c : cases) EXPECT_EQ(dump_yaml_scalar(c.text, 2, "\n"), c.dumped) << c.text;
}

TEST(YamlScalar, FoldsAfterColumnEighty) {
  const std::string word(50, 'a');
  EXPECT_EQ(dump_yaml_entry("tags", Strings{word + " " + word + " c"}, "\r\n"),
            "tags:\r\n- " + word + " " + word + "\r\n  c");
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

TEST(EditYamlBlock, AddsMissingKeysAtTheEnd) {
  EXPECT_EQ(edited("license: mit"),
            "license: mit\nbase_model: toy/base\nlibrary_name: peft\ntags:\n"
            "- base_model:adapter:toy/base\n- lora");
}

TEST(EditYamlBlock, FillsEmptyFrontMatter) {
  const std::string expected =
      "base_model: toy/base\nlibrary_name: peft\ntags:\n- base_model:adapter:toy/base\n- lora";
  EXPECT_EQ(edited(""), expected);
  EXPECT_EQ(edited("{}"), expected);
  EXPECT_EQ(edited("# nothing yet"), "# nothing yet\n" + expected);
}

TEST(EditYamlBlock, ChangesOnlyTheValue) {
  struct Case {
    std::string_view before;
    std::string_view after;
  };
  const Case cases[] = {
      {"x: transformers", "x: peft"},
      {"x: transformers  # mine\ny: 1", "x: peft  # mine\ny: 1"},
      {"x:   'it''s' # mine", "x:   peft # mine"},
      {"x: \"a \\\" # b\"", "x: peft"},
      {"# top\nx: a\n# below\n\ny: b", "# top\nx: peft\n# below\n\ny: b"},
      {"x:", "x: peft"},
      {"x:  # why", "x: peft  # why"},
      {"x: ~", "x: peft"},
      {"x: >\n  folded\n  text\ny: 1", "x: peft\ny: 1"},
      {"x: plain\n  text\ny: 1", "x: peft\ny: 1"},
      {"x:\n- a\n- b\n# c\ny: 1", "x: peft\n# c\ny: 1"},
      {"x: [a,\n  b]\ny: 1", "x: peft\ny: 1"},
      {"\"x\": a # lost\ny: 1", "x: peft\ny: 1"},
      {"? x\n: a\ny: 1", "x: peft\ny: 1"},
      {"  x: a\n  y: 1", "  x: peft\n  y: 1"},
      {"x: a\r\ny: 1\r\n", "x: peft\r\ny: 1\r\n"},
      {"x: a\ry: 1", "x: peft\ry: 1"},
      {"x: a\nx: b", "x: a\nx: peft"},
      {"\xc3\xa9: \xf0\x9f\x91\x80\nx: a\n\xc3\xa9\xc3\xa9: b",
       "\xc3\xa9: \xf0\x9f\x91\x80\nx: peft\n\xc3\xa9\xc3\xa9: b"},
      {"x: !!str a # c", "x: peft"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(edited(c.before, {set("x", std::string("peft"))}), c.after) << c.before;
  }
}

TEST(EditYamlBlock, ChangesListsBelowTheirKey) {
  struct Case {
    std::string_view before;
    std::string_view after;
  };
  const Case cases[] = {
      {"t: # mine\n  - a # x\n  # why b\n  - b\n# after\ny: 1",
       "t: # mine\n  # why b\n  - p\n  - q\n# after\ny: 1"},
      {"t: [a, \"]\"] # mine\ny: 1", "t: # mine\n- p\n- q\ny: 1"},
      {"t: [a,\n b]\ny: 1", "t:\n- p\n- q\ny: 1"},
      {"t:\ny: 1", "t:\n- p\n- q\ny: 1"},
      {"t: ~ # none\ny: 1", "t: # none\n- p\n- q\ny: 1"},
      {"t:\n- a: 1\n  b: 2\ny: 1", "t:\n- p\n- q\ny: 1"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(edited(c.before, {set("t", Strings{"p", "q"})}), c.after) << c.before;
  }
}

TEST(EditYamlBlock, LeavesWhatHoldsItsValueToTheByte) {
  const std::string_view texts[] = {
      "tags: [ 'p', q ] # mine\nx:    \"peft\"",
      "x: >-\n  peft\ntags:\n    - p\n\n    - q",
      "{x: peft, tags: [p, q]}",
  };
  for (const std::string_view text : texts) {
    EXPECT_EQ(edited(text, {set("x", std::string("peft")), set("tags", Strings{"p", "q"})}), text);
  }
}

TEST(EditYamlBlock, RemovesAKeyWithItsLine) {
  const YamlEdit remove{"x", std::monostate()};
  EXPECT_EQ(edited("x: 1\ny: 2", {remove}), "y: 2");
  EXPECT_EQ(edited("y: 2\nx: 1", {remove}), "y: 2");
  EXPECT_EQ(edited("y: 2\r\nx:\r\n- 1\r\n# c\r\nz: 3", {remove}), "y: 2\r\n# c\r\nz: 3");
  EXPECT_EQ(edited("x: 1", {remove}), "");
  EXPECT_EQ(edited("y: 1", {remove}), "y: 1");
}

TEST(EditYamlBlock, IsIdempotent) {
  const std::string_view texts[] = {"",
                                    "license: mit\n",
                                    "tags: [a]\nlibrary_name: x # y\r\n",
                                    "# c",
                                    "base_model:\n- a\n- b\n\n",
                                    "  a: b\n"};
  for (const std::string_view text : texts) {
    const std::string once = edited(text);
    EXPECT_EQ(edited(once), once);
  }
}

TEST(EditYamlBlock, RefusesToBreakOtherKeys) {
  const std::vector<YamlEdit> edits = {set("x", std::string("peft"))};
  EXPECT_EQ(edited("x: &a b\ny: *a", edits), "error MC-7");
  EXPECT_EQ(edited("{y: 1}", edits), "error MC-7");
  EXPECT_EQ(edited("y: 1\n...", edits), "error MC-7");
}

TEST(HubId, IsANameOrANamespaceAndAName) {
  for (const std::string_view good :
       {"gpt2", "toy/base", "meta-llama/Llama-3.1-8B", "a/b_c.d-e", "0/1", "bert-base-uncased"}) {
    EXPECT_TRUE(is_hub_id(good)) << good;
  }
}

TEST(HubId, IsNeverALocalPath) {
  const std::string_view bad[] = {"",
                                  "/",
                                  "/data/llama",
                                  "./llama",
                                  "../llama",
                                  "~/llama",
                                  "a/b/c",
                                  "C:\\llama",
                                  "C:/llama",
                                  "..",
                                  ".",
                                  "a/",
                                  "/a",
                                  "a//b",
                                  "file:///a/b",
                                  "https://huggingface.co/a/b",
                                  "a\\b",
                                  "a/..",
                                  "../a",
                                  "out/checkpoint-500",
                                  "checkpoint-1",
                                  "llama.gguf",
                                  "a/b.safetensors",
                                  "my model",
                                  "a/b\n",
                                  "-a/b",
                                  "a/b-",
                                  ".cache/b",
                                  "a--b/c",
                                  "\xc3\xa9/b",
                                  "\\\\host\\share",
                                  "a/b.git",
                                  "s3://a/b"};
  for (const std::string_view name : bad) EXPECT_FALSE(is_hub_id(name)) << name;
  EXPECT_FALSE(is_hub_id("a/" + std::string(97, 'b')));
}

}  // namespace
}  // namespace ferrule::format
