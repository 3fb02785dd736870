// SPDX-License-Identifier: Apache-2.0
#include "peft/state_layout.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "state.hpp"

namespace ferrule::peft {
namespace {

TEST(StateLayout, KeysThatBecomeOneAreRefused) {
  State state;
  state.add("base_model.model.a._orig_mod.weight", {2}).add("base_model.model.a.weight", {2});
  const auto layout = StateLayout::read(state.dict(), {});
  ASSERT_FALSE(layout);
  EXPECT_EQ(layout.error().rule, "KY-2");
}

TEST(StateLayout, EveryPrefixThatWasRemovedIsANote) {
  State state;
  state.base("module.base_model.model.q").lora("module.base_model.model.q", "default");
  const auto layout = StateLayout::read(state.dict(), {}).value();
  ASSERT_EQ(layout.notes().size(), 1U);
  EXPECT_EQ(layout.notes()[0].rule, "KY-3");
  EXPECT_NE(layout.notes()[0].message.find("\"module.\""), std::string::npos);
  EXPECT_FALSE(layout.injected());
  EXPECT_TRUE(layout.find("base_model.model.q.base_layer.weight"));
  EXPECT_FALSE(layout.find("module.base_model.model.q.base_layer.weight"));
}

TEST(StateLayout, APrefixThatOnlySomeKeysHaveStays) {
  State state;
  state.add("module.base_model.model.q.weight", {2}).add("other.weight", {2});
  const auto layout = StateLayout::read(state.dict(), {}).value();
  EXPECT_TRUE(layout.find("other.weight"));
  EXPECT_TRUE(layout.find("base_model.model.q.weight")) << "what precedes base_model. is removed";
}

TEST(StateLayout, TheOwnersOfABaseLayerAreTunerLayers) {
  State state;
  state.base("base_model.model.a.q").add("base_model.model.a.norm.weight", {2});
  const auto layout = StateLayout::read(state.dict(), {}).value();
  EXPECT_TRUE(layout.is_tuner_layer("base_model.model.a.q"));
  EXPECT_FALSE(layout.is_tuner_layer("base_model.model.a.norm"));
  EXPECT_FALSE(layout.is_tuner_layer("base_model.model.a"));
}

TEST(StateLayout, AKeyIsTakenApartForOneAdapter) {
  State state;
  state.base(kQ).lora(kQ, "default");
  const auto layout = StateLayout::read(state.dict(), {}).value();
  const auto& lora = *find_method("LORA");
  const std::string key = std::string(kQ) + ".lora_A.default.weight";
  const auto parsed = layout.parse(key, lora, "default");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->path, kQ);
  EXPECT_EQ(parsed->attribute, "lora_A");
  EXPECT_EQ(parsed->leaf, "weight");
  EXPECT_FALSE(layout.parse(key, lora, "other"));
  EXPECT_FALSE(layout.parse(std::string(kQ) + ".base_layer.weight", lora, "default"));
}

TEST(StateLayout, ATensorOfANewerReleaseIsKnownByItsPlaceAndPrefix) {
  State state;
  state.base(kQ).lora(kQ, "default");
  const auto layout = StateLayout::read(state.dict(), {}).value();
  const auto& lora = *find_method("LORA");
  const auto parsed = layout.parse(std::string(kQ) + ".lora_new.default.weight", lora, "default");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->role, nullptr);
  EXPECT_EQ(parsed->attribute, "lora_new");
  EXPECT_FALSE(layout.parse("base_model.model.elsewhere.lora_new.default.weight", lora, "default"));
}

TEST(StateLayout, WhatBelongsToTheBaseIsNotAnAdapters) {
  State state;
  state.base(kQ).lora(kQ, "default");
  const auto layout = StateLayout::read(state.dict(), {}).value();
  EXPECT_FALSE(layout.is_adapter_key(std::string(kQ) + ".base_layer.weight"));
  EXPECT_TRUE(layout.is_adapter_key(std::string(kQ) + ".lora_A.default.weight"));
  EXPECT_TRUE(layout.is_adapter_key("base_model.model.head.modules_to_save.default.weight"));
  EXPECT_FALSE(layout.is_adapter_key("base_model.model.norm.weight"));
}

TEST(StateLayout, SameMemoryIsNotEqualContent) {
  State state;
  state.add("base_model.model.a.weight", {2}).add("base_model.model.b.weight", {2});
  const auto a = *state.dict().find("base_model.model.a.weight");
  EXPECT_TRUE(same_memory(a, a));
  EXPECT_FALSE(same_memory(a, *state.dict().find("base_model.model.b.weight")));
}

}  // namespace
}  // namespace ferrule::peft
