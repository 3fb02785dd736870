// SPDX-License-Identifier: Apache-2.0
#include "peft/module_selector.hpp"

#include <gtest/gtest.h>

namespace ferrule::peft {
namespace {

TEST(CompiledSelector, NamesMatchAtADot) {
  const ModuleSelector names{.is_pattern = false, .pattern = {}, .names = {"q_proj", "mlp.up"}};
  const auto selector = CompiledSelector::compile(names);
  ASSERT_TRUE(selector);
  EXPECT_TRUE(*selector->selects("q_proj"));
  EXPECT_TRUE(*selector->selects("model.q_proj"));
  EXPECT_TRUE(*selector->selects("layers.0.mlp.up"));
  EXPECT_FALSE(*selector->selects("model.xq_proj"));
  EXPECT_FALSE(*selector->selects("q_proj.lora"));
  EXPECT_FALSE(*selector->selects("up"));
}

TEST(CompiledSelector, APatternMatchesTheWholePath) {
  const ModuleSelector pattern{.is_pattern = true, .pattern = ".*\\.q_proj", .names = {}};
  const auto selector = CompiledSelector::compile(pattern);
  ASSERT_TRUE(selector);
  EXPECT_TRUE(*selector->selects("model.q_proj"));
  EXPECT_FALSE(*selector->selects("q_proj"));
  EXPECT_FALSE(*selector->selects("model.q_proj.x"));
  EXPECT_FALSE(CompiledSelector::compile({.is_pattern = true, .pattern = "(", .names = {}}));
}

}  // namespace
}  // namespace ferrule::peft
