// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "state.hpp"

namespace ferrule::peft {
namespace {

const Keys kEmbeddings = {"base_model.model.embed_tokens.weight",
                          "base_model.model.lm_head.weight"};

State with_embeddings() {
  State state;
  state.base(kQ).lora(kQ, "default");
  state.add(kEmbeddings[0], {6, 4}).add(kEmbeddings[1], {6, 4});
  return state;
}

Keys with_lora(Keys more) {
  more.insert(more.end(), kLoraKeys.begin(), kLoraKeys.end());
  std::sort(more.begin(), more.end());
  return more;
}

AdapterConfig lora(const char* target, Json base = {}) {
  return config("LORA", {{"target_modules", Json(Json::Array{Json(target)})},
                         {"base_model_name_or_path", std::move(base)}});
}

Json vocabulary(int size) { return Json(Json::Object{{"vocab_size", Json(size)}}); }

TEST(EmbeddingSelection, OnlyTheAskedOnesWithoutAReason) {
  const auto state = with_embeddings();
  const std::vector<NamedConfig> configs = {{"default", lora("q_proj")}};
  EXPECT_EQ(keys(select(state.dict(), configs).value()), kLoraKeys);
  EXPECT_EQ(keys(select(state.dict(), configs, 0, {}, {}, SaveEmbeddings::kAlways).value()),
            with_lora(kEmbeddings));
}

// peft.utils.save_and_load: a list of targets must hold the bare name.
TEST(EmbeddingSelection, ATargetOfTheirNameSavesThem) {
  const auto state = with_embeddings();
  const auto named = select(state.dict(), {{"default", lora("embed_tokens")}}).value();
  EXPECT_FALSE(named.findings.empty());
  const auto never =
      select(state.dict(), {{"default", lora("embed_tokens")}}, 0, {}, {}, SaveEmbeddings::kNever)
          .value();
  EXPECT_EQ(keys(never), kLoraKeys);
  const auto path = select(state.dict(), {{"default", lora("model.embed_tokens")}}).value();
  EXPECT_EQ(keys(path), kLoraKeys);
}

TEST(EmbeddingSelection, AResizedVocabularySavesThem) {
  const auto state = with_embeddings();
  const std::vector<NamedConfig> configs = {{"default", lora("q_proj", "org/base")}};
  EXPECT_EQ(keys(select(state.dict(), configs, 0, {}, vocabulary(5)).value()),
            with_lora(kEmbeddings));
  EXPECT_EQ(keys(select(state.dict(), configs, 0, {}, vocabulary(6)).value()), kLoraKeys);
}

TEST(EmbeddingSelection, WithoutABasesNameNothingIsCompared) {
  const auto state = with_embeddings();
  EXPECT_EQ(keys(select(state.dict(), {{"default", lora("q_proj")}}, 0, {}, vocabulary(5)).value()),
            kLoraKeys);
}

TEST(EmbeddingSelection, TheLiveConfigDecidesBeforeTheRows) {
  const auto state = with_embeddings();
  const std::vector<NamedConfig> configs = {{"default", lora("q_proj", "org/base")}};
  ModelFacts facts;
  facts.config = vocabulary(5);
  EXPECT_EQ(keys(select(state.dict(), configs, 0, facts, vocabulary(5)).value()), kLoraKeys);
  facts.config = vocabulary(7);
  EXPECT_EQ(keys(select(state.dict(), configs, 0, facts, vocabulary(5)).value()),
            with_lora(kEmbeddings));
}

TEST(EmbeddingSelection, AModelOfUnknownNamesIsWarnedOf) {
  State state;
  state.base(kQ).lora(kQ, "default");
  const auto selection =
      select(state.dict(), {{"default", lora("q_proj")}}, 0, {}, {}, SaveEmbeddings::kAlways)
          .value();
  ASSERT_FALSE(selection.findings.empty());
  EXPECT_EQ(selection.findings.back().rule, "KY-5");
  EXPECT_EQ(selection.findings.back().severity, Severity::kWarning);
}

}  // namespace
}  // namespace ferrule::peft
