// SPDX-License-Identifier: Apache-2.0
#include "peft/targets.hpp"

#include <gtest/gtest.h>

#include <string_view>

namespace ferrule::peft {
namespace {

TargetRule rule(std::string_view text) {
  return TargetRule::compile(AdapterConfig::parse(text).value()).value();
}

TEST(TargetRule, AllLinearCannotBeAskedByName) {
  EXPECT_FALSE(rule(R"({"peft_type": "LORA", "target_modules": "all-linear"})").known());
  EXPECT_FALSE(rule(R"({"peft_type": "LORA", "target_modules": "All-Linear"})").known());
  EXPECT_FALSE(rule(R"({"peft_type": "LORA"})").known());
  EXPECT_TRUE(rule(R"({"peft_type": "LORA", "target_modules": ["q"]})").known());
}

TEST(TargetRule, ModulesAndParametersAreAskedApart) {
  const auto both = rule(R"({"peft_type": "LORA", "target_modules": ["q"],
                             "target_parameters": ["experts.gate_up_proj"]})");
  EXPECT_TRUE(both.selects("layers.0.q").value());
  EXPECT_FALSE(both.selects("layers.0.experts.gate_up_proj").value());
  EXPECT_TRUE(both.selects_parameter("layers.0.experts.gate_up_proj"));
  EXPECT_FALSE(both.selects_parameter("layers.0.my_experts.gate_up_proj"));
  EXPECT_FALSE(both.selects_parameter("layers.0.q"));
}

TEST(LayerNumber, IsTheFirstOneInside) {
  EXPECT_EQ(layer_number("model.layers.7.q"), 7U);
  EXPECT_EQ(layer_number("model.layers.7.experts.3.w"), 7U);
  EXPECT_EQ(layer_number("layers.7.q"), std::nullopt) << "fewer than two components before it";
  EXPECT_EQ(layer_number("model.layers.7"), std::nullopt) << "nothing behind it";
  EXPECT_EQ(layer_number("model.layers.x7.q"), std::nullopt);
}

}  // namespace
}  // namespace ferrule::peft
