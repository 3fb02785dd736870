// SPDX-License-Identifier: Apache-2.0
#include "peft/selection.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

namespace ferrule::peft {
namespace {

constexpr const char* kQ = "base_model.model.layers.0.q_proj";

/// A state dict of F32 tensors whose elements count up, so that every tensor differs.
class State {
 public:
  State& add(const std::string& name, std::vector<std::uint64_t> shape) {
    const auto count = element_count(shape).value();
    auto& values = memory_.emplace_back(count);
    for (auto& value : values) value = next_++;
    EXPECT_TRUE(state_.add(name, Dtype::kF32, shape, std::as_bytes(std::span(values))));
    return *this;
  }
  State& lora(const std::string& module, const std::string& name, std::uint64_t rank = 2) {
    return add(module + ".lora_A." + name + ".weight", {rank, 4})
        .add(module + ".lora_B." + name + ".weight", {4, rank});
  }
  State& base(const std::string& module) {
    return add(module + ".base_layer.weight", {4, 4}).add(module + ".base_layer.bias", {4});
  }
  const StateDict& dict() const { return state_; }

 private:
  std::deque<std::vector<float>> memory_;
  StateDict state_;
  float next_ = 1;
};

AdapterConfig config(std::string_view type, std::vector<Json::Member> fields = {}) {
  return AdapterConfig::make(type, fields).value();
}

std::vector<std::string> keys(const Selection& selection) {
  std::vector<std::string> names;
  for (const auto& tensor : selection.tensors) names.push_back(tensor.name);
  std::sort(names.begin(), names.end());
  return names;
}

Result<Selection> select(const StateDict& dict, const std::vector<NamedConfig>& configs,
                         std::size_t which = 0) {
  const auto layout = StateLayout::read(dict, {}).value();
  const ModelFacts facts;
  const Json no_base;
  return select_adapter({.layout = layout,
                         .configs = configs,
                         .facts = facts,
                         .base_config = no_base,
                         .embeddings = SaveEmbeddings::kAuto},
                        configs[which]);
}

using Keys = std::vector<std::string>;

const Keys kLoraKeys = {"base_model.model.layers.0.q_proj.lora_A.weight",
                        "base_model.model.layers.0.q_proj.lora_B.weight"};

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

TEST(Selection, KeysThatBecomeOneAreRefused) {
  State state;
  state.add("base_model.model.a._orig_mod.weight", {2}).add("base_model.model.a.weight", {2});
  const auto layout = StateLayout::read(state.dict(), {});
  ASSERT_FALSE(layout);
  EXPECT_EQ(layout.error().rule, "KY-2");
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

TEST(Selection, RandLoraStaysOnItsOwnLayers) {
  State state;
  const std::string k = "base_model.model.layers.0.k_proj";
  for (const auto& module : {std::string(kQ), k}) {
    state.base(module);
    for (const auto* name : {"default", "other"}) {
      state.add(module + ".randlora_A." + name, {2, 1, 4})
          .add(module + ".randlora_B." + name, {4, 2, 2});
    }
  }
  state.add(std::string(kQ) + ".randlora_lambda.default", {2, 2});
  state.add(std::string(kQ) + ".randlora_gamma.default", {2, 4});
  const auto selection =
      select(state.dict(), {{"default", config("RANDLORA", {{"r", Json(2)}})}}).value();
  for (const auto& key : keys(selection)) EXPECT_EQ(key.find("k_proj"), std::string::npos) << key;
  EXPECT_EQ(selection.tensors.size(), 4U);
}

TEST(Selection, AdaLoraKeepsRanksUnderAnyName) {
  for (const auto* name : {"default", "q_proj", "m", "lora_E"}) {
    State state;
    const std::string adapter = name;
    state.base(kQ)
        .add(std::string(kQ) + ".lora_A." + adapter, {3, 4})
        .add(std::string(kQ) + ".lora_B." + adapter, {4, 3})
        .add(std::string(kQ) + ".lora_E." + adapter, {3, 1})
        .add(std::string(kQ) + ".ranknum." + adapter, {1});
    const Json mask(Json::Array{Json(true), Json(false), Json(true)});
    const auto ada =
        config("ADALORA",
               {{"total_step", Json(10)},
                {"tinit", Json(0)},
                {"tfinal", Json(0)},
                {"rank_pattern", Json(Json::Object{{"layers.0.q_proj.lora_E." + adapter, mask}})}});
    const auto selection = select(state.dict(), {{adapter, ada}});
    ASSERT_TRUE(selection) << selection.error().to_string();
    ASSERT_EQ(selection->tensors.size(), 3U) << name;
    EXPECT_EQ(selection->config.find("rank_pattern")->if_object()->front().first,
              "layers.0.q_proj.lora_E");
    for (const auto& tensor : selection->tensors) {
      const bool b = tensor.name.ends_with("lora_B");
      EXPECT_EQ(tensor.shape[b ? 1 : 0], 2U);
    }
    std::array<float, 2> row{};
    std::memcpy(row.data(), selection->tensors[1].bytes.data(), sizeof(row));
    EXPECT_EQ(row[1], row[0] + 2) << "columns 0 and 2 of B are kept";
  }
}

TEST(Selection, RankPatternsThatDoNotFitAreRefused) {
  State state;
  state.base(kQ)
      .add(std::string(kQ) + ".lora_A.default", {3, 4})
      .add(std::string(kQ) + ".lora_B.default", {4, 3})
      .add(std::string(kQ) + ".lora_E.default", {3, 1});
  const Json mask(Json::Array{Json(true), Json(false)});
  const auto ada =
      config("ADALORA", {{"total_step", Json(10)},
                         {"tinit", Json(0)},
                         {"tfinal", Json(0)},
                         {"rank_pattern", Json(Json::Object{{"layers.0.q_proj.lora_E", mask}})}});
  const auto selection = select(state.dict(), {{"default", ada}});
  ASSERT_FALSE(selection);
  EXPECT_EQ(selection.error().rule, "KY-6");
}

TEST(Selection, PromptsNeedTheirWholeEncoder) {
  State state;
  state.add("prompt_encoder.default.embedding.weight", {2, 4})
      .add("prompt_encoder.default.mlp_head.0.weight", {4, 4})
      .add("prompt_encoder.default.mlp_head.0.bias", {4});
  const auto selection = select(state.dict(), {{"default", config("P_TUNING")}});
  ASSERT_FALSE(selection);
  EXPECT_EQ(selection.error().rule, "KY-8");
}

TEST(Selection, ASecondAdaptionPromptIsWarnedOf) {
  State state;
  state.add("base_model.model.layers.0.self_attn.adaption_prompt", {1, 2, 4})
      .add("base_model.model.layers.0.self_attn.adaption_gate", {1});
  const auto selection = select(
      state.dict(), {{"default", config("ADAPTION_PROMPT")}, {"b", config("ADAPTION_PROMPT")}});
  ASSERT_TRUE(selection);
  ASSERT_FALSE(selection->findings.empty());
  EXPECT_EQ(selection->findings.front().rule, "KY-7");
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
