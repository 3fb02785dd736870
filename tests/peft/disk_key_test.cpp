// SPDX-License-Identifier: Apache-2.0
#include "peft/disk_key.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace ferrule::peft {
namespace {

AdapterConfig read(std::string_view text) { return AdapterConfig::parse(text).value(); }

DiskKey parse(std::string_view key, const AdapterConfig& config) {
  return parse_disk_key(key, config, *find_method(config.peft_type()));
}

TEST(DiskKey, EachKindIsToldByTheConfig) {
  const auto lora = read(R"({"peft_type": "LORA", "bias": "all", "modules_to_save": ["classifier"],
                             "trainable_token_indices": [1]})");
  const struct {
    std::string_view key;
    KeyKind kind;
  } cases[] = {
      {"base_model.model.a.q.lora_A.weight", KeyKind::kMethod},
      {"base_model.model.a.q.lora_A.default.weight", KeyKind::kNameLeft},
      {"base_model.model.classifier.weight", KeyKind::kModulesToSave},
      {"base_model.model.e.token_adapter.trainable_tokens_delta", KeyKind::kTokens},
      {"base_model.model.a.q.bias", KeyKind::kBias},
      {"base_model.model.lm_head.weight", KeyKind::kEmbedding},
      {"base_model.model.a.q.hada_w1_a", KeyKind::kForeign},
      {"prompt_embeddings", KeyKind::kForeign},
      {"base_model.model.a.q.weight", KeyKind::kUnknown},
  };
  for (const auto& [key, kind] : cases) EXPECT_EQ(parse(key, lora).kind, kind) << key;
  const auto plain = read(R"({"peft_type": "LORA"})");
  EXPECT_EQ(parse("base_model.model.a.q.bias", plain).kind, KeyKind::kUnknown);
  EXPECT_EQ(parse("base_model.model.classifier.weight", plain).kind, KeyKind::kUnknown);
}

TEST(DiskKey, OldSpellingsAreTold) {
  const auto boft = read(R"({"peft_type": "BOFT"})");
  EXPECT_EQ(parse("base_model.model.q.boft_P", boft).kind, KeyKind::kIgnored);
  const auto oft = read(R"({"peft_type": "OFT", "oft_block_size": 4, "r": 0})");
  EXPECT_EQ(parse("base_model.model.q.oft_r", oft).kind, KeyKind::kObsolete);
}

TEST(DiskKey, StrayBiasesOfSavedModulesAreIgnored) {
  const auto all = read(R"({"peft_type": "LORA", "bias": "all", "modules_to_save": ["head"]})");
  const auto none = read(R"({"peft_type": "LORA", "modules_to_save": ["head"]})");
  for (const std::string leaf : {"modules_to_save.bias", "original_module.bias",
                                 "modules_to_save.dense.bias", "original_module.dense.bias"}) {
    EXPECT_EQ(parse("base_model.model.head." + leaf, all).kind, KeyKind::kIgnored) << leaf;
    EXPECT_EQ(parse("base_model.model.head." + leaf, none).kind, KeyKind::kModulesToSave) << leaf;
  }
  const std::string stray = "base_model.model.head.modules_to_save.bias";
  EXPECT_EQ(live_key(stray, parse(stray, all), "mine"),
            "base_model.model.head.modules_to_save.mine.modules_to_save.bias");
  EXPECT_EQ(parse("base_model.model.head.bias", all).kind, KeyKind::kModulesToSave);
  EXPECT_EQ(parse("base_model.model.head.dense.bias", all).kind, KeyKind::kModulesToSave);
}

TEST(DiskKey, ItsPartsPointIntoTheKey) {
  const std::string key = "base_model.model.a.0.q.lora_B.bias";
  const auto parsed = parse(key, read(R"({"peft_type": "LORA"})"));
  EXPECT_EQ(parsed.module, "base_model.model.a.0.q");
  EXPECT_EQ(parsed.attribute, "lora_B");
  EXPECT_EQ(parsed.leaf, "bias");
  EXPECT_EQ(parsed.module.data(), key.data());
}

// get_peft_model_state_dict takes the name out; set_peft_model_state_dict puts it back in.
TEST(DiskKey, TheLiveKeyHasTheNameInItsPlace) {
  const auto lora = read(R"({"peft_type": "LORA", "modules_to_save": ["classifier"]})");
  const auto live = [&](std::string_view key) { return live_key(key, parse(key, lora), "mine"); };
  EXPECT_EQ(live("base_model.model.q.lora_A.weight"), "base_model.model.q.lora_A.mine.weight");
  EXPECT_EQ(live("base_model.model.q.lora_magnitude_vector"),
            "base_model.model.q.lora_magnitude_vector.mine.weight");
  EXPECT_EQ(live("base_model.model.classifier.weight"),
            "base_model.model.classifier.modules_to_save.mine.weight");
  EXPECT_EQ(live("base_model.model.lm_head.weight"), "base_model.model.lm_head.weight");
  const auto prompt = read(R"({"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 1})");
  EXPECT_EQ(live_key("prompt_embeddings", parse("prompt_embeddings", prompt), "mine"),
            "prompt_encoder.mine.embedding.weight");
}

TEST(DiskKey, TheBasesPathHasNoPrefix) {
  EXPECT_EQ(base_path("base_model.model.model.layers.0.q"), "model.layers.0.q");
  EXPECT_EQ(base_path("base_model.q"), "q");
  EXPECT_EQ(base_path("base_model.model"), "");
  EXPECT_EQ(base_path("layers.0.q"), "layers.0.q");
}

}  // namespace
}  // namespace ferrule::peft
