// SPDX-License-Identifier: Apache-2.0
#include "peft/config_rules.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "ferrule/adapter_config.hpp"
#include "peft/config_schema.hpp"

namespace ferrule::peft {
namespace {

struct Case {
  std::string_view text;
  std::string_view rule;
  std::string_view names;  ///< A word of the message.
};

// What PEFT's constructors raise ValueError for.
TEST(ConfigRules, WhatPeftCannotConstructNamesTheFields) {
  const Case cases[] = {
      {R"({"peft_type": "LORA", "target_modules": ".*q", "layers_to_transform": [1]})", "CF-10",
       "layers_to_transform"},
      {R"({"peft_type": "LORA", "target_modules": ["q"], "layers_pattern": "h"})", "CF-10",
       "layers_pattern"},
      {R"({"peft_type": "LORA", "use_dora": true, "lora_bias": true})", "CF-10", "lora_bias"},
      {R"({"peft_type": "ADALORA"})", "CF-10", "total_step"},
      {R"({"peft_type": "ADALORA", "total_step": 10, "use_dora": true})", "CF-10", "DoRA"},
      {R"({"peft_type": "LORA", "bias": "some"})", "CF-11", "bias"},
      {R"({"peft_type": "LORA", "r": 0})", "CF-12", "r"},
      {R"({"peft_type": "LORA", "r": -1})", "CF-12", "r"},
      {R"({"peft_type": "CPT", "task_type": "SEQ_CLS", "cpt_token_ids": [1]})", "CF-10",
       "CAUSAL_LM"},
      {R"({"peft_type": "IA3", "target_modules": ["q"], "feedforward_modules": ["w"]})", "CF-10",
       "w"},
  };
  for (const auto& [text, rule, names] : cases) {
    const auto config = AdapterConfig::parse(text);
    ASSERT_FALSE(config) << text;
    EXPECT_EQ(config.error().rule, rule) << text;
    EXPECT_NE(config.error().message.find(names), std::string::npos) << config.error().to_string();
  }
}

TEST(ConfigRules, WhatPeftConstructsPasses) {
  for (
      const std::string_view text :
      {R"({"peft_type": "LORA", "target_modules": ["q"], "layers_to_transform": [1], "layers_pattern": "h"})",
       R"({"peft_type": "ADALORA", "total_step": 10})",
       R"({"peft_type": "LORA", "bias": "lora_only", "r": 1})",
       R"({"peft_type": "IA3", "target_modules": ["q", "w"], "feedforward_modules": ["w"]})"}) {
    const auto config = AdapterConfig::parse(text);
    EXPECT_TRUE(config) << text << ": " << config.error().to_string();
  }
}

TEST(ConfigRules, TheRankFieldIsTheTypesOwn) {
  EXPECT_EQ(rank_field(*find_type("LORA"))->name, "r");
  EXPECT_EQ(rank_field(*find_type("ADALORA"))->name, "init_r");
  EXPECT_EQ(rank_field(*find_type("IA3")), nullptr);
}

}  // namespace
}  // namespace ferrule::peft
