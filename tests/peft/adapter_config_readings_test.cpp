// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "ferrule/adapter_config.hpp"

namespace ferrule {
namespace {

AdapterConfig read(std::string_view text) { return AdapterConfig::parse(text).value(); }

TEST(AdapterConfigReadings, SelectorsAreNamesOrAPattern) {
  const auto list = read(R"({"peft_type": "LORA", "target_modules": ["q", "v"]})");
  EXPECT_FALSE(list.target_modules()->is_pattern);
  EXPECT_EQ(list.target_modules()->names, (std::vector<std::string>{"q", "v"}));
  EXPECT_FALSE(list.exclude_modules());
  const auto pattern = read(R"({"peft_type": "LORA", "target_modules": ".*q"})");
  EXPECT_TRUE(pattern.target_modules()->is_pattern);
  EXPECT_EQ(pattern.target_modules()->pattern, ".*q");
}

TEST(AdapterConfigReadings, RankAndAlphaAreThoseOfTheType) {
  const auto ada =
      read(R"({"peft_type": "ADALORA", "target_r": 4, "init_r": 12, "r": 3, "total_step": 10})");
  EXPECT_EQ(ada.rank(), 12) << "AdaLoRA starts from init_r";
  EXPECT_EQ(read(R"({"peft_type": "LOHA", "r": 6, "alpha": 3})").alpha(), 3.0);
  EXPECT_EQ(read(R"({"peft_type": "RANDLORA", "r": 6, "randlora_alpha": 12})").alpha(), 12.0);
  EXPECT_FALSE(read(R"({"peft_type": "IA3"})").rank());
  EXPECT_FALSE(read(R"({"peft_type": "IA3"})").alpha());
}

TEST(AdapterConfigReadings, PromptLearningIsKnownByItsType) {
  EXPECT_TRUE(
      read(R"({"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 2})").is_prompt_learning());
  EXPECT_FALSE(read(R"({"peft_type": "LORA"})").is_prompt_learning());
}

TEST(AdapterConfigReadings, OneModuleToSaveMayBeAString) {
  EXPECT_EQ(read(R"({"peft_type": "LN_TUNING", "modules_to_save": "head"})").modules_to_save(),
            (std::vector<std::string>{"head"}));
}

TEST(AdapterConfigReadings, AFieldOfAnotherKindReadsAsAbsent) {
  const auto config = read(R"({"peft_type": "LORA", "r": 4, "bias": "all"})");
  EXPECT_FALSE(config.text("r"));
  EXPECT_FALSE(config.integer("bias"));
  EXPECT_FALSE(config.number("no_such_field"));
  EXPECT_TRUE(config.flag("no_such_field", true));
  EXPECT_EQ(config.number("r"), 4.0);
  EXPECT_EQ(config.bias(), "all");
}

}  // namespace
}  // namespace ferrule
