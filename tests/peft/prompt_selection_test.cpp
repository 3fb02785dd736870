// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "state.hpp"

namespace ferrule::peft {
namespace {

TEST(PromptSelection, PromptsNeedTheirWholeEncoder) {
  State state;
  state.add("prompt_encoder.default.embedding.weight", {2, 4})
      .add("prompt_encoder.default.mlp_head.0.weight", {4, 4})
      .add("prompt_encoder.default.mlp_head.0.bias", {4});
  const auto selection = select(state.dict(), {{"default", config("P_TUNING")}});
  ASSERT_FALSE(selection);
  EXPECT_EQ(selection.error().rule, "KY-8");
}

std::vector<float> floats(const TensorStream& tensor) {
  std::vector<float> values(tensor.bytes.size() / sizeof(float));
  std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}

/// A state dict of given numbers.
class Numbers {
 public:
  Numbers& add(const std::string& name, std::vector<std::uint64_t> shape,
               std::vector<float> values) {
    memory_.push_back(std::move(values));
    EXPECT_TRUE(state_.add(name, Dtype::kF32, shape, std::as_bytes(std::span(memory_.back()))));
    return *this;
  }
  const StateDict& dict() const { return state_; }

 private:
  std::deque<std::vector<float>> memory_;
  StateDict state_;
};

TEST(PromptSelection, APromptIsItsEmbedding) {
  State state;
  state.add("prompt_encoder.default.embedding.weight", {2, 4})
      .add("prompt_encoder.other.embedding.weight", {3, 4});
  const auto selection = select(
      state.dict(), {{"default", config("PROMPT_TUNING", {{"num_virtual_tokens", Json(2)}})}});
  ASSERT_TRUE(selection) << selection.error().to_string();
  ASSERT_EQ(keys(*selection), (Keys{"prompt_embeddings"}));
  EXPECT_EQ(selection->tensors[0].shape, (std::vector<std::uint64_t>{2, 4}));
}

// PrefixEncoder: Linear, Tanh, Linear. With a hidden layer of zeros only the last bias is left.
TEST(PromptSelection, APrefixWithProjectionIsComputed) {
  Numbers state;
  state.add("prompt_encoder.default.embedding.weight", {2, 2}, {1, 2, 3, 4})
      .add("prompt_encoder.default.transform.0.weight", {2, 2}, {0, 0, 0, 0})
      .add("prompt_encoder.default.transform.0.bias", {2}, {0, 0})
      .add("prompt_encoder.default.transform.2.weight", {3, 2}, {1, 1, 1, 1, 1, 1})
      .add("prompt_encoder.default.transform.2.bias", {3}, {5, 6, 7});
  const auto selection = select(
      state.dict(), {{"default", config("PREFIX_TUNING", {{"num_virtual_tokens", Json(2)},
                                                          {"prefix_projection", Json(true)}})}});
  ASSERT_TRUE(selection) << selection.error().to_string();
  ASSERT_EQ(selection->tensors.size(), 1U);
  EXPECT_EQ(selection->tensors[0].shape, (std::vector<std::uint64_t>{2, 3}));
  EXPECT_EQ(floats(selection->tensors[0]), (std::vector<float>{5, 6, 7, 5, 6, 7}));
}

TEST(PromptSelection, AnEncoderThatDoesNotFitItselfIsRefused) {
  Numbers state;
  state.add("prompt_encoder.default.embedding.weight", {1, 2}, {1, 2})
      .add("prompt_encoder.default.transform.0.weight", {2, 3}, {0, 0, 0, 0, 0, 0})
      .add("prompt_encoder.default.transform.0.bias", {2}, {0, 0});
  const auto selection = select(
      state.dict(), {{"default", config("PREFIX_TUNING", {{"num_virtual_tokens", Json(1)}})}});
  ASSERT_FALSE(selection);
  EXPECT_EQ(selection.error().rule, "KY-8");
  EXPECT_NE(selection.error().message.find("transform.0.weight"), std::string::npos);
}

TEST(PromptSelection, ACartridgeIsItsFrozenRowsAndThenTheTrainedOnes) {
  Numbers state;
  state.add("prompt_encoder.default.frozen_embedding", {1, 2}, {1, 2})
      .add("prompt_encoder.default.trainable_embedding", {2, 2}, {3, 4, 5, 6});
  const auto selection =
      select(state.dict(), {{"default", config("CARTRIDGE", {{"num_virtual_tokens", Json(3)},
                                                             {"num_frozen_tokens", Json(1)}})}});
  ASSERT_TRUE(selection) << selection.error().to_string();
  EXPECT_EQ(floats(selection->tensors[0]), (std::vector<float>{1, 2, 3, 4, 5, 6}));
}

TEST(PromptSelection, AMultitaskPromptHasItsTaskRowsAndColumns) {
  State state;
  state.add("prompt_encoder.default.embedding.weight", {2, 4})
      .add("prompt_encoder.default.prefix_task_cols", {1, 2, 1});
  const std::vector<NamedConfig> configs = {
      {"default", config("MULTITASK_PROMPT_TUNING", {{"num_virtual_tokens", Json(2)}})}};
  const auto without_rows = select(state.dict(), configs);
  ASSERT_FALSE(without_rows);
  EXPECT_NE(without_rows.error().message.find("prefix_task_rows"), std::string::npos);
  state.add("prompt_encoder.default.prefix_task_rows", {1, 1, 4});
  EXPECT_EQ(keys(select(state.dict(), configs).value()),
            (Keys{"prefix_task_cols", "prefix_task_rows", "prompt_embeddings"}));
}

}  // namespace
}  // namespace ferrule::peft
