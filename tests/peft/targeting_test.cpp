// SPDX-License-Identifier: Apache-2.0
#include "ferrule/targeting.hpp"

#include <gtest/gtest.h>

#include <string_view>

#include "ferrule/adapter_config.hpp"

namespace ferrule {
namespace {

ModuleTargets targets(std::string_view text) {
  return ModuleTargets::compile(AdapterConfig::parse(text).value()).value();
}

// BaseTuner.check_target_module_exists.
TEST(ModuleTargets, NamesEndAPath) {
  const auto rule = targets(R"({"peft_type": "LORA", "target_modules": ["q_proj"]})");
  EXPECT_EQ(rule.judge("layers.0.q_proj").value(), Targeting::kTargeted);
  EXPECT_EQ(rule.judge("q_proj").value(), Targeting::kTargeted);
  EXPECT_EQ(rule.judge("layers.0.my_q_proj").value(), Targeting::kNo);
  EXPECT_EQ(rule.judge("q_proj.inner").value(), Targeting::kNo);
}

TEST(ModuleTargets, ExcludedAndSavedModulesAreNot) {
  const auto rule = targets(R"({"peft_type": "LORA", "target_modules": ["q", "v"],
                                "exclude_modules": ["0.q"], "modules_to_save": ["v"]})");
  EXPECT_EQ(rule.judge("layers.0.q").value(), Targeting::kExcluded);
  EXPECT_EQ(rule.judge("layers.1.q").value(), Targeting::kTargeted);
  EXPECT_EQ(rule.judge("layers.1.v").value(), Targeting::kExcluded);
  EXPECT_TRUE(rule.is_saved_whole("layers.1.v"));
  EXPECT_FALSE(rule.is_saved_whole("layers.1.q"));
}

TEST(ModuleTargets, LayersAreChosenByTheirNumber) {
  const auto rule =
      targets(R"({"peft_type": "LORA", "target_modules": ["q"], "layers_to_transform": [1]})");
  EXPECT_EQ(rule.judge("model.layers.1.q").value(), Targeting::kTargeted);
  EXPECT_EQ(rule.judge("model.layers.0.q").value(), Targeting::kNo);
  EXPECT_EQ(rule.judge("model.layers.11.q").value(), Targeting::kNo);
  EXPECT_EQ(rule.judge("q").value(), Targeting::kTargeted) << "named in full";
}

TEST(ModuleTargets, APatternOfLayersSaysWhichNumberCounts) {
  const auto rule = targets(R"({"peft_type": "LORA", "target_modules": ["q"],
                                "layers_to_transform": 2, "layers_pattern": "h"})");
  EXPECT_EQ(rule.judge("blocks.0.h.2.q").value(), Targeting::kTargeted);
  EXPECT_EQ(rule.judge("blocks.2.h.0.q").value(), Targeting::kNo);
}

TEST(ModuleTargets, FeedforwardModulesOfIa3) {
  const auto rule = targets(R"({"peft_type": "IA3", "target_modules": ["k", "w"],
                                "feedforward_modules": ["w"]})");
  EXPECT_TRUE(rule.is_feedforward("mlp.w").value());
  EXPECT_FALSE(rule.is_feedforward("attn.k").value());
}

TEST(ModuleTargets, ABrokenExpressionIsRefusedAtOnce) {
  const auto config =
      AdapterConfig::parse(R"({"peft_type": "LORA", "exclude_modules": "("})").value();
  EXPECT_EQ(ModuleTargets::compile(config).error().rule, "CF-20");
}

}  // namespace
}  // namespace ferrule
