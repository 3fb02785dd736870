// SPDX-License-Identifier: Apache-2.0
#include "peft/method_tensors.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "state.hpp"

namespace ferrule::peft {
namespace {

TEST(MethodTensors, AdaLoraKeepsRanksUnderAnyName) {
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

TEST(MethodTensors, RankPatternsThatDoNotFitAreRefused) {
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

TEST(MethodTensors, RandLoraStaysOnItsOwnLayers) {
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

TEST(MethodTensors, ASecondAdaptionPromptIsWarnedOf) {
  State state;
  state.add("base_model.model.layers.0.self_attn.adaption_prompt", {1, 2, 4})
      .add("base_model.model.layers.0.self_attn.adaption_gate", {1});
  const auto selection = select(
      state.dict(), {{"default", config("ADAPTION_PROMPT")}, {"b", config("ADAPTION_PROMPT")}});
  ASSERT_TRUE(selection);
  ASSERT_FALSE(selection->findings.empty());
  EXPECT_EQ(selection->findings.front().rule, "KY-7");
}

TEST(MethodTensors, RowsAndColumnsAreTakenInOrder) {
  const std::vector<float> values = {0, 1, 2, 3, 4, 5, 6, 7, 8};
  const TensorStream tensor{.name = "m",
                            .dtype = Dtype::kF32,
                            .shape = {3, 3},
                            .bytes = std::as_bytes(std::span(values)),
                            .owner = {},
                            .read = {}};
  const auto taken = take_rows_and_columns(tensor, {0, 2}, {1, 2});
  EXPECT_EQ(taken.shape, (std::vector<std::uint64_t>{2, 2}));
  std::array<float, 4> out{};
  std::memcpy(out.data(), taken.bytes.data(), sizeof out);
  EXPECT_EQ(out, (std::array<float, 4>{1, 2, 7, 8}));
}

TEST(MethodTensors, FloatsGoThroughEveryDtypeAndBack) {
  const std::vector<float> values = {1.5F, -2, 0, 0.25F};
  for (const auto dtype : {Dtype::kF32, Dtype::kF16, Dtype::kBF16, Dtype::kF64}) {
    const auto tensor = from_floats("t", dtype, {4}, values);
    EXPECT_EQ(to_floats(dtype, tensor.bytes), values);
  }
  EXPECT_FALSE(to_floats(Dtype::kI32, std::as_bytes(std::span(values))));
}

// VBLoRALayer: torch.topk, then a softmax of the k, whose last weight follows from the others.
TEST(MethodTensors, VbLoraKeepsTheTopLogits) {
  State state;  // Logits count up, so the last of each row is the largest.
  state.base(kQ)
      .add(std::string(kQ) + ".vblora_logits_A.default", {1, 2, 3})
      .add(std::string(kQ) + ".vblora_logits_B.default", {1, 2, 3})
      .add("base_model.vblora_vector_bank.default", {3, 2});
  const auto vblora = config("VBLORA", {{"save_only_topk_weights", Json(true)},
                                        {"topk", Json(2)},
                                        {"num_vectors", Json(3)},
                                        {"vector_length", Json(2)}});
  const auto selection = select(state.dict(), {{"default", vblora}});
  ASSERT_TRUE(selection) << selection.error().to_string();
  bool seen = false;
  for (const auto& tensor : selection->tensors) {
    if (!tensor.name.ends_with("vblora_logits_A_topk_indices")) continue;
    seen = true;
    EXPECT_EQ(tensor.dtype, Dtype::kU8);
    EXPECT_EQ(tensor.shape, (std::vector<std::uint64_t>{1, 2, 2}));
    EXPECT_EQ(tensor.bytes[0], std::byte{2});
    EXPECT_EQ(tensor.bytes[1], std::byte{1});
  }
  EXPECT_TRUE(seen);
}

}  // namespace
}  // namespace ferrule::peft
