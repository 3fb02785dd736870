// SPDX-License-Identifier: Apache-2.0
#include "peft/dialect.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "ferrule/checkpoint.hpp"

namespace ferrule::peft {
namespace {

std::string_view config_of(std::string_view text) {
  const auto* dialect = dialect_of_config(Json::parse(text).value());
  return dialect == nullptr ? std::string_view() : dialect->what;
}

std::string_view key_of(std::string_view key) {
  const auto* dialect = dialect_of_key(key);
  return dialect == nullptr ? std::string_view() : dialect->what;
}

TEST(Dialect, ConfigsAreKnownByTheFieldsOfTheirProgram) {
  EXPECT_EQ(config_of(R"({"fine_tune_type": "lora", "num_layers": 4})"), "an adapter of mlx-lm");
  EXPECT_EQ(config_of(R"({"config": {}, "model_class": "X"})"),
            "an adapter of the `adapters` library (AdapterHub)");
  EXPECT_EQ(config_of(R"({"architectures": ["X"], "model_type": "llama"})"),
            "the config of a model of transformers");
  EXPECT_EQ(config_of(R"({"peft_type": "LORA", "r": 8})"), "");
  EXPECT_EQ(config_of(R"({"peft_type": "LORA", "enable_lora": [true, false, true]})").substr(0, 6),
            "a LoRA");
  EXPECT_EQ(config_of("[]"), "");
}

TEST(Dialect, KeysAreKnownByTheirSpelling) {
  EXPECT_EQ(key_of("lora_unet_down_blocks_0.lora_down.weight"), "a LoRA of kohya-ss (sd-scripts)");
  EXPECT_EQ(key_of("lora_unet_down_blocks_0.hada_w1_a"), "an adapter of LyCORIS");
  EXPECT_EQ(key_of("layers.0.attn.q_proj.lora_a.weight"), "an adapter of torchtune");
  EXPECT_EQ(key_of("model.layers.0.self_attn.q_proj.lora_a"), "an adapter of mlx-lm");
  EXPECT_EQ(key_of("unet.mid_block.attn.lora_A.weight"), "a LoRA of diffusers");
  EXPECT_EQ(key_of("base_model.model.layers.0.q_proj.lora_A.weight"), "");
  EXPECT_EQ(key_of("model.embed_tokens.weight"), "");
}

TEST(Dialect, TheFirstTensorThatShowsOneIsNamed) {
  const std::vector<std::byte> bytes(4);
  StateDict state;
  const std::vector<std::uint64_t> shape = {1};
  ASSERT_TRUE(state.add("plain.weight", Dtype::kF32, shape, bytes));
  ASSERT_TRUE(state.add("x.lora_a.weight", Dtype::kF32, shape, bytes));
  const auto found = dialect_of(state);
  ASSERT_NE(found.dialect, nullptr);
  EXPECT_EQ(describe(found), "an adapter of torchtune, not of PEFT (tensor \"x.lora_a.weight\")");
}

TEST(Dialect, LayersOfImageModelsAreNotThoseOfMistral) {
  const std::vector<std::byte> bytes(4);
  const std::vector<std::uint64_t> shape = {1};
  StateDict mistral;
  ASSERT_TRUE(mistral.add("layers.0.feed_forward.w1.lora_A.weight", Dtype::kF32, shape, bytes));
  ASSERT_TRUE(mistral.add("layers.0.attention.wq.lora_A.weight", Dtype::kF32, shape, bytes));
  ASSERT_NE(dialect_of(mistral).dialect, nullptr);
  EXPECT_EQ(dialect_of(mistral).dialect->what, "a LoRA of mistral-finetune");
  for (const std::string_view name :
       {"layers.0.attention.to_q.lora_A.weight", "layers.0.attention.qkv.lora_A.weight",
        "layers.0.adaLN_modulation.0.lora_A.weight"}) {
    StateDict image;
    ASSERT_TRUE(image.add("layers.0.feed_forward.w1.lora_A.weight", Dtype::kF32, shape, bytes));
    ASSERT_TRUE(image.add(std::string(name), Dtype::kF32, shape, bytes));
    EXPECT_EQ(dialect_of(image).dialect, nullptr) << name;
  }
}

TEST(Dialect, PeftsOwnKeysAreKnownWithAndWithoutAName) {
  EXPECT_TRUE(is_peft_key("base_model.model.q.lora_A.weight"));
  EXPECT_TRUE(is_peft_key("base_model.model.q.lora_A.default.weight"));
  EXPECT_TRUE(is_peft_key("prompt_embeddings"));
  EXPECT_FALSE(is_peft_key("model.q.weight"));
}

}  // namespace
}  // namespace ferrule::peft
