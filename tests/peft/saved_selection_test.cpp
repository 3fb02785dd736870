// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "state.hpp"

namespace ferrule::peft {
namespace {

/// nullopt for a live model's state.
std::optional<Selection> saved(const StateDict& dict) {
  const auto layout = StateLayout::read(dict, {}).value();
  const std::vector<NamedConfig> configs = {{"default", config("LORA")}};
  const ModelFacts facts;
  const Json no_base;
  return select_saved(
      {.layout = layout, .configs = configs, .facts = facts, .base_config = no_base}, configs[0]);
}

TEST(SavedSelection, AnAdaptersFileIsTakenAsItIs) {
  State state;
  state.add(kLoraKeys[0], {2, 4}).add(kLoraKeys[1], {4, 2});
  const auto selection = saved(state.dict()).value();
  EXPECT_EQ(keys(selection), kLoraKeys);
  ASSERT_FALSE(selection.findings.empty());
  EXPECT_EQ(selection.findings.back().rule, "KY-11");
}

TEST(SavedSelection, WhatIsNoPartOfItIsListed) {
  State state;
  state.add(kLoraKeys[0], {2, 4}).add(kLoraKeys[1], {4, 2});
  state.add("base_model.model.norm.weight", {4});
  const auto selection = saved(state.dict()).value();
  EXPECT_EQ(keys(selection), kLoraKeys);
  ASSERT_EQ(selection.left_out.size(), 1U);
  EXPECT_EQ(selection.left_out[0].key, "base_model.model.norm.weight");
}

TEST(SavedSelection, ALiveModelIsNotASavedAdapter) {
  State state;
  state.base(kQ).lora(kQ, "default");
  EXPECT_FALSE(saved(state.dict()));
}

TEST(SavedSelection, OfALayerThatWasInjectedNothingIsOutsideTheModel) {
  State state;
  state.base("layers.0.q_proj").lora("layers.0.q_proj", "default").add("norm.weight", {4});
  const auto layout = StateLayout::read(state.dict(), {}).value();
  ASSERT_TRUE(layout.injected());
  EXPECT_TRUE(trained_beside(layout).empty());
}

TEST(SavedSelection, WhatIsBesideTheModelIsListedByName) {
  State state;
  state.base(kQ).lora(kQ, "default").add("v_head.summary.weight", {1, 4});
  const auto beside = trained_beside(StateLayout::read(state.dict(), {}).value());
  ASSERT_EQ(beside.size(), 1U);
  EXPECT_EQ(beside[0].key, "v_head.summary.weight");
}

}  // namespace
}  // namespace ferrule::peft
