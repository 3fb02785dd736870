// SPDX-License-Identifier: Apache-2.0
#include "peft/strength.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

namespace ferrule {
namespace {

AdapterConfig config_of(std::string_view text) {
  auto config = AdapterConfig::parse(text);
  EXPECT_TRUE(config) << (config ? "" : config.error().to_string());
  return *config;
}

TEST(Strength, TheFirstMatchingEntryOfTheFileWins) {
  const auto config = config_of(
      R"({"peft_type": "LORA", "r": 8, "lora_alpha": 16, "use_rslora": true,
          "rank_pattern": {"z|q_proj": 4, "layers.0.*": 2}, "alpha_pattern": {"v_proj": 3}})");
  const auto q = resolve_strength(config, "model.layers.0.q_proj");
  ASSERT_TRUE(q);
  EXPECT_EQ(q->rank, 4.0);
  EXPECT_EQ(q->alpha, 16.0);
  EXPECT_EQ(q->strength, 16.0 / std::sqrt(4.0));
  EXPECT_EQ(q->rule, "rank_pattern \"z|q_proj\", alpha default, alpha/sqrt(r)");
  const auto v = resolve_strength(config, "model.layers.0.v_proj");
  EXPECT_EQ(v->strength, 3.0 / std::sqrt(2.0));
}

TEST(Strength, NoneWhereATypeHasNoneOrKeepsItInATensor) {
  EXPECT_FALSE(resolve_strength(config_of(R"({"peft_type": "VERA"})"), "x").value().strength);
  const auto delora =
      resolve_strength(config_of(R"({"peft_type": "DELORA", "rank_pattern": {"x": 3}})"), "a.x");
  EXPECT_FALSE(delora->strength);
  EXPECT_EQ(delora->rank, 3.0);
}

TEST(Strength, AdaloraCountsTheRanksItKept) {
  const auto config = config_of(
      R"({"peft_type": "ADALORA", "total_step": 9, "init_r": 4, "lora_alpha": 0,
          "rank_pattern": {"model.q.lora_E": [true, false, true, true]}})");
  const auto strength = resolve_strength(config, "model.q");
  EXPECT_EQ(strength->rank, 3.0);
  EXPECT_EQ(strength->strength, 4.0);
}

TEST(Strength, RefusesPatternsThatAreInvalidOrTooSlow) {
  const auto invalid = config_of(R"({"peft_type": "LORA", "rank_pattern": {"q(": 4}})");
  EXPECT_EQ(resolve_strength(invalid, "q").error().rule, "CF-20");
  const auto slow = config_of(R"({"peft_type": "LORA", "alpha_pattern": {"(a+)+[bc]": 4}})");
  EXPECT_EQ(resolve_strength(slow, std::string(60, 'a')).error().rule, "CF-22");
}

TEST(PatternFindings, InvalidIsAnErrorAndUnsupportedAWarning) {
  const auto config = config_of(
      R"({"peft_type": "LORA", "target_modules": "(", "modules_to_save": ["a", "b["],
          "rank_pattern": {"\\N{BULLET}": 4}})");
  const auto findings = peft::pattern_findings(config);
  ASSERT_EQ(findings.size(), 3U);
  EXPECT_EQ(findings[0].key, "target_modules");
  EXPECT_EQ(findings[0].severity, Severity::kError);
  EXPECT_EQ(findings[0].rule, "CF-20");
  EXPECT_EQ(findings[1].key, "rank_pattern");
  EXPECT_EQ(findings[1].severity, Severity::kWarning);
  EXPECT_EQ(findings[1].rule, "CF-21");
  EXPECT_EQ(findings[2].key, "modules_to_save");
}

TEST(FieldValue, FollowsTheFieldsKind) {
  const struct {
    std::string_view field;
    std::string_view text;
    std::string_view json;
  } cases[] = {
      {"r", "16", "16"},
      {"lora_alpha", "16", "16"},
      {"lora_alpha", "11.5", "11.5"},
      {"use_dora", "true", "true"},
      {"bias", "lora_only", R"("lora_only")"},
      {"revision", "123", R"("123")"},
      {"task_type", "null", "null"},
      {"init_lora_weights", "false", "false"},
      {"init_lora_weights", "gaussian", R"("gaussian")"},
      {"target_modules", "q_proj,v_proj", R"(["q_proj","v_proj"])"},
      {"target_modules", "q_proj,", R"(["q_proj"])"},
      {"target_modules", "all-linear", R"("all-linear")"},
      {"target_modules", ".*(q|v){1,2}", R"(".*(q|v){1,2}")"},
      {"target_modules", R"(["a"])", R"(["a"])"},
      {"modules_to_save", "lm_head", R"(["lm_head"])"},
      {"layers_to_transform", "3", "3"},
      {"layers_to_transform", "1,2,3", "[1,2,3]"},
      {"rank_pattern", R"({"q": 3})", R"({"q":3})"},
  };
  for (const auto& [field, text, json] : cases) {
    const auto value = parse_field_value("LORA", field, text);
    ASSERT_TRUE(value) << field << "=" << text << ": " << value.error().to_string();
    EXPECT_EQ(value->dump(), json) << field << "=" << text;
  }
}

TEST(FieldValue, RefusesWhatIsOfNoKindTheFieldTakes) {
  EXPECT_EQ(parse_field_value("LORA", "r", "eight").error().rule, "CF-8");
  EXPECT_EQ(parse_field_value("LORA", "use_dora", "yes").error().rule, "CF-8");
  EXPECT_EQ(parse_field_value("LORA", "rank", "8").error().rule, "CF-9");
  EXPECT_EQ(parse_field_value("lora", "r", "8").error().rule, "CF-6");
  EXPECT_EQ(parse_field_value("LORA", "r", "eight").error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace ferrule
