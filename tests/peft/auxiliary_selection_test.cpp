// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <span>
#include <string>
#include <vector>

#include "state.hpp"

namespace ferrule::peft {
namespace {

TEST(AuxiliarySelection, ASavedModuleLosesTheWrapperAndTheName) {
  State state;
  state.base(kQ).lora(kQ, "default");
  state.add("base_model.model.head.original_module.weight", {2, 4})
      .add("base_model.model.head.modules_to_save.default.weight", {2, 4})
      .add("base_model.model.head.modules_to_save.other.weight", {2, 4});
  const auto selection =
      select(state.dict(),
             {{"default", config("LORA", {{"modules_to_save", Json(Json::Array{Json("head")})}})}})
          .value();
  EXPECT_EQ(keys(selection), (Keys{"base_model.model.head.weight", kLoraKeys[0], kLoraKeys[1]}));
  const auto want = state.dict().find("base_model.model.head.modules_to_save.default.weight");
  for (const auto& tensor : selection.tensors) {
    if (tensor.name == "base_model.model.head.weight") {
      EXPECT_EQ(tensor.bytes.data(), want->bytes().data()) << "the copy that was trained";
    }
  }
}

/// One delta hangs on two modules, as PEFT ties them.
StateDict tied_tokens(const std::vector<float>& delta, std::string_view a, std::string_view b) {
  StateDict state;
  for (const auto module : {a, b}) {
    EXPECT_TRUE(state.add(
        "base_model.model." + std::string(module) + ".token_adapter.trainable_tokens_delta.default",
        Dtype::kF32, std::vector<std::uint64_t>{2, 4}, std::as_bytes(std::span(delta))));
  }
  return state;
}

TEST(AuxiliarySelection, OfTiedTokensOnlyTheInputsAreSaved) {
  const std::vector<float> delta(8, 1);
  const auto tokens =
      config("LORA", {{"trainable_token_indices", Json(Json::Array{Json(1), Json(2)})},
                      {"target_modules", Json(Json::Array{Json("q_proj")})}});
  const auto selection =
      select(tied_tokens(delta, "lm_head", "embed_tokens"), {{"default", tokens}});
  ASSERT_TRUE(selection) << selection.error().to_string();
  EXPECT_EQ(keys(*selection),
            (Keys{"base_model.model.embed_tokens.token_adapter.trainable_tokens_delta"}));
  ASSERT_EQ(selection->left_out.size(), 1U);
  EXPECT_EQ(selection->left_out[0].key,
            "base_model.model.lm_head.token_adapter.trainable_tokens_delta.default");
}

TEST(AuxiliarySelection, TheLiveModelSaysWhichOneIsTheInput) {
  const std::vector<float> delta(8, 1);
  const auto tokens =
      config("LORA", {{"trainable_token_indices", Json(Json::Array{Json(1), Json(2)})}});
  ModelFacts facts;
  facts.input_embeddings = "words";
  const auto selection =
      select(tied_tokens(delta, "a_projection", "words"), {{"default", tokens}}, 0, facts);
  ASSERT_TRUE(selection) << selection.error().to_string();
  EXPECT_EQ(keys(*selection),
            (Keys{"base_model.model.words.token_adapter.trainable_tokens_delta"}));
}

}  // namespace
}  // namespace ferrule::peft
