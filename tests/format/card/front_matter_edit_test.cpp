// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "format/card/front_matter.hpp"

namespace ferrule::format {
namespace {

using Strings = std::vector<std::string>;

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

}  // namespace
}  // namespace ferrule::format
