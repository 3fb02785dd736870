// SPDX-License-Identifier: Apache-2.0
#include "ferrule/model_facts.hpp"

#include <gtest/gtest.h>

#include <string_view>

namespace ferrule {
namespace {

TEST(ModelFacts, ReadsEveryKey) {
  const auto facts = ModelFacts::parse(R"({
    "class": "LlamaForCausalLM", "module": "transformers.models.llama.modeling_llama",
    "name_or_path": "", "model_tags": ["unsloth"], "is_transformers": true, "model_type": "llama",
    "input_embeddings": "model.embed_tokens", "output_embeddings": "lm_head",
    "modules": {"model": "LlamaModel", "lm_head": "Linear"}, "class_bases": {"MyLinear": "Linear"},
    "tied": {"lm_head.weight": "model.embed_tokens.weight"},
    "config": {"vocab_size": 20, "initializer_range": Infinity}, "tuner_layers": ["layers.0.q_proj"],
    "peft_version": "0.13.2", "future": [1]})");
  ASSERT_TRUE(facts) << facts.error().to_string();
  EXPECT_EQ(facts->class_name, "LlamaForCausalLM");
  EXPECT_EQ(facts->module, "transformers.models.llama.modeling_llama");
  EXPECT_EQ(facts->name_or_path, "");
  EXPECT_EQ(facts->model_tags.size(), 1U);
  EXPECT_EQ(facts->is_transformers, true);
  EXPECT_EQ(facts->model_type, "llama");
  EXPECT_EQ(facts->input_embeddings, "model.embed_tokens");
  EXPECT_EQ(facts->output_embeddings, "lm_head");
  EXPECT_EQ(facts->modules.at("lm_head"), "Linear");
  EXPECT_EQ(facts->class_bases.at("MyLinear"), "Linear");
  EXPECT_EQ(facts->tied.at("lm_head.weight"), "model.embed_tokens.weight");
  EXPECT_EQ(facts->config.find("vocab_size")->dump(), "20");
  EXPECT_EQ(facts->tuner_layers->at(0), "layers.0.q_proj");
  EXPECT_EQ(facts->peft_version, "0.13.2");
}

TEST(ModelFacts, EveryKeyIsOptionalAndNullMeansUnknown) {
  for (const std::string_view text :
       {"{}", R"({"class": null, "config": null, "tied": {"a": null}, "is_transformers": null})"}) {
    const auto facts = ModelFacts::parse(text);
    ASSERT_TRUE(facts);
    EXPECT_FALSE(facts->class_name);
    EXPECT_FALSE(facts->is_transformers);
    EXPECT_TRUE(facts->tied.empty());
    EXPECT_FALSE(facts->tuner_layers);
    EXPECT_TRUE(facts->config.is_null());
  }
}

TEST(ModelFacts, WrongTypesAreRefused) {
  for (const std::string_view text :
       {"[]", R"({"class": 1})", R"({"is_transformers": "yes"})", R"({"model_tags": "x"})",
        R"({"model_tags": [1]})", R"({"modules": []})", R"({"tied": {"a": 1}})",
        R"({"config": "llama"})"}) {
    const auto facts = ModelFacts::parse(text);
    ASSERT_FALSE(facts) << text;
    EXPECT_EQ(facts.error().rule, "CF-30") << text;
    EXPECT_EQ(facts.error().code, ErrorCode::kCorrupt) << text;
  }
  EXPECT_EQ(ModelFacts::parse("{").error().rule, "CF-1");
}

}  // namespace
}  // namespace ferrule
