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

TEST(Strength, ABareNameInTargetParametersIsNoParameterOfATargetedModule) {
  // As PEFT writes them for fused experts beside targets: every module ends in ".down_proj" then.
  const auto config = config_of(
      R"({"peft_type": "LORA", "r": 4, "lora_alpha": 12, "target_modules": ["k_proj"],
          "target_parameters": ["gate_up_proj", "down_proj"], "alpha_pattern": {"k_proj": 40}})");
  EXPECT_EQ(resolve_strength(config, "layers.0.self_attn.k_proj").value().strength, 10.0);
  EXPECT_EQ(resolve_strength(config, "layers.0.mlp.experts").value().strength, 3.0);
}

TEST(Strength, RefusesPatternsThatAreInvalidOrTooSlow) {
  const auto invalid = config_of(R"({"peft_type": "LORA", "rank_pattern": {"q(": 4}})");
  EXPECT_EQ(resolve_strength(invalid, "q").error().rule, "CF-20");
  const auto slow = config_of(R"({"peft_type": "LORA", "alpha_pattern": {"(a+)+[bc]": 4}})");
  EXPECT_EQ(resolve_strength(slow, std::string(60, 'a')).error().rule, "CF-22");
}

}  // namespace
}  // namespace ferrule
