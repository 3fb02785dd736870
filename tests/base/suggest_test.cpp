// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/text.hpp"

namespace ferrule {
namespace {

struct Row {
  std::string_view word;
  std::vector<std::string_view> candidates;
  std::optional<std::string_view> meant;
};

TEST(Suggest, FindsTheLikelyWord) {
  const std::vector<std::string_view> fields = {"r", "lora_alpha", "lora_dropout", "target_modules",
                                                "modules_to_save"};
  const Row rows[] = {
      {"lora_alpa", fields, "lora_alpha"},  {"lora_aplha", fields, "lora_alpha"},
      {"LORA_ALPHA", fields, "lora_alpha"}, {"target_module", fields, "target_modules"},
      {"lora_alpha", fields, "lora_alpha"}, {"bias", fields, std::nullopt},
      {"", fields, std::nullopt},           {"lora_alpha", {}, std::nullopt},
      {"lora_alpha", {""}, std::nullopt},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(suggest(row.word, row.candidates), row.meant) << row.word;
  }
}

TEST(Suggest, ATranspositionIsOneEdit) {
  const std::vector<std::string_view> candidates = {"abc"};
  EXPECT_EQ(suggest("acb", candidates), "abc");
  EXPECT_EQ(suggest("cba", candidates), std::nullopt);
}

TEST(Suggest, AtMostAThirdOfTheLettersMayDiffer) {
  const std::vector<std::string_view> candidates = {"abcdef"};
  EXPECT_EQ(suggest("xycdef", candidates), "abcdef");
  EXPECT_EQ(suggest("xyzdef", candidates), std::nullopt);
}

TEST(Suggest, TheCloserWordWins) {
  const std::vector<std::string_view> candidates = {"save_modules", "save_module", "safe_module"};
  EXPECT_EQ(suggest("sav_module", candidates), "save_module");
}

TEST(Suggest, OfEquallyCloseWordsTheOneWithTheSameLettersWins) {
  const std::vector<std::string_view> candidates = {"fold", "from"};
  EXPECT_EQ(suggest("form", candidates), "from");
  const std::vector<std::string_view> one_edit = {"farm", "from"};
  EXPECT_EQ(suggest("form", one_edit), "from");
}

TEST(Suggest, VeryLongWordsAreNotCompared) {
  const std::string at_limit(128, 'x');
  const std::string beyond(129, 'x');
  const std::vector<std::string_view> candidates = {beyond, at_limit};
  EXPECT_EQ(suggest(beyond, candidates), std::nullopt);
  EXPECT_EQ(suggest(at_limit, candidates), at_limit);
}

}  // namespace
}  // namespace ferrule
