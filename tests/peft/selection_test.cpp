// SPDX-License-Identifier: Apache-2.0
#include "peft/selection.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "state.hpp"

namespace ferrule::peft {
namespace {

// KY-3
TEST(Selection, WrappersAreTakenOff) {
  for (const auto* prefix : {"module.", "_orig_mod.", "module._orig_mod.", "_fsdp_wrapped_module.",
                             "module.module.", "trainer.net."}) {
    State state;
    const auto module = std::string(prefix) + kQ;
    state.base(module).lora(module, "default");
    const auto selection = select(state.dict(), {{"default", config("LORA")}});
    ASSERT_TRUE(selection) << prefix << selection.error().to_string();
    EXPECT_EQ(keys(*selection), kLoraKeys) << prefix;
  }
}

TEST(Selection, InnerWrappersAreTakenOff) {
  State state;
  const std::string module = "base_model.model.layers.0._orig_mod._fsdp_wrapped_module.q_proj";
  state.base(module).lora(module, "default");
  EXPECT_EQ(keys(select(state.dict(), {{"default", config("LORA")}}).value()), kLoraKeys);
}

TEST(Selection, InjectedLayersGetThePrefix) {
  State state;
  state.base("layers.0.q_proj").lora("layers.0.q_proj", "default");
  EXPECT_EQ(keys(select(state.dict(), {{"default", config("LORA")}}).value()), kLoraKeys);
}

TEST(Selection, AStateWithoutItsBaseIsEnough) {
  State state;
  state.lora(kQ, "default").lora(kQ, "other");
  EXPECT_EQ(keys(select(state.dict(), {{"default", config("LORA")}}).value()), kLoraKeys);
}

TEST(Selection, UnluckyAdapterNamesAreKeptApart) {
  for (const auto* name : {"model", "layers", "0", "q_proj", "weight", "bias", "lora_A", "lora_B",
                           "base_layer", "base_model", "d", "defaul", "default2"}) {
    State state;
    state.base(kQ).lora(kQ, "default").lora(kQ, name, 3);
    const std::vector<NamedConfig> configs = {{"default", config("LORA")}, {name, config("LORA")}};
    const auto first = select(state.dict(), configs, 0).value();
    const auto second = select(state.dict(), configs, 1).value();
    EXPECT_EQ(keys(first), kLoraKeys) << name;
    EXPECT_EQ(keys(second), kLoraKeys) << name;
    EXPECT_EQ(first.tensors[0].shape[0] + second.tensors[0].shape[0], 5U) << name;
  }
}

TEST(Selection, AnAdapterCalledModelIsKeptApart) {
  State state;
  state.base(kQ).lora(kQ, "default").lora(kQ, "model");
  const std::vector<NamedConfig> configs = {{"default", config("LORA")}, {"model", config("LORA")}};
  const auto first = select(state.dict(), configs, 0).value();
  ASSERT_EQ(keys(first), kLoraKeys);
  const auto expected = state.dict().find(std::string(kQ) + ".lora_A.default.weight");
  EXPECT_EQ(first.tensors[0].bytes.data(), expected->bytes().data());
}

TEST(Selection, BaseModulesNamedLikeAdaptersStayOut) {
  State state;
  state.base(kQ).lora(kQ, "default").add("base_model.model.lora_foo.default.weight", {2, 2});
  EXPECT_EQ(keys(select(state.dict(), {{"default", config("LORA")}}).value()), kLoraKeys);
}

TEST(Selection, BiasAllLeavesTheCopiesOfSavedModulesOut) {
  State state;
  state.base(kQ).lora(kQ, "default");
  state.add("base_model.model.head.original_module.bias", {2});
  state.add("base_model.model.head.modules_to_save.default.bias", {2});
  const auto selection =
      select(state.dict(), {{"default", config("LORA", {{"bias", Json("all")}})}}).value();
  EXPECT_EQ(keys(selection),
            (Keys{"base_model.model.head.bias", "base_model.model.layers.0.q_proj.base_layer.bias",
                  kLoraKeys[0], kLoraKeys[1]}));
  const auto trained = state.dict().find("base_model.model.head.modules_to_save.default.bias");
  const auto saved =
      std::find_if(selection.tensors.begin(), selection.tensors.end(),
                   [](const auto& t) { return t.name == "base_model.model.head.bias"; });
  // The trained copy, not the original: bias="all" would otherwise come first.
  EXPECT_EQ(saved->bytes.data(), trained->bytes().data());
}

// PEFT trains all of them; one under another adapter's layer is the base's own when it is read.
TEST(Selection, LoraOnlyTakesTheBiasesOfAllLoraLayers) {
  State state;
  const std::string k = "base_model.model.layers.0.k_proj";
  state.base(kQ).lora(kQ, "default").base(k).lora(k, "other");
  const auto selection =
      select(state.dict(), {{"default", config("LORA", {{"bias", Json("lora_only")}})},
                            {"other", config("LORA")}})
          .value();
  EXPECT_EQ(keys(selection),
            (Keys{"base_model.model.layers.0.k_proj.bias",
                  "base_model.model.layers.0.q_proj.base_layer.bias", kLoraKeys[0], kLoraKeys[1]}));
}

TEST(Selection, KnownTunerLayersOverrideTheGuess) {
  // `lookalike` is the base model's own module, whose child happens to be called lora_A.
  State state;
  state.lora(kQ, "default").lora("base_model.model.lookalike", "default");
  const std::vector<NamedConfig> configs = {{"default", config("LORA")}};
  ModelFacts facts;
  facts.tuner_layers = {"layers.0.q_proj"};
  const Json no_base;
  const auto layout = StateLayout::read(state.dict(), facts).value();
  const auto selection = select_adapter({.layout = layout,
                                         .configs = configs,
                                         .facts = facts,
                                         .base_config = no_base,
                                         .embeddings = SaveEmbeddings::kAuto},
                                        configs[0]);
  EXPECT_EQ(keys(selection.value()), kLoraKeys);
  EXPECT_EQ(keys(select(state.dict(), configs).value()).size(), 4U);
}

}  // namespace
}  // namespace ferrule::peft
