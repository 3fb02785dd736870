// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "peft/selection.hpp"

namespace ferrule::peft {

inline constexpr const char* kQ = "base_model.model.layers.0.q_proj";

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

inline AdapterConfig config(std::string_view type, std::vector<Json::Member> fields = {}) {
  return AdapterConfig::make(type, fields).value();
}

inline std::vector<std::string> keys(const Selection& selection) {
  std::vector<std::string> names;
  for (const auto& tensor : selection.tensors) names.push_back(tensor.name);
  std::sort(names.begin(), names.end());
  return names;
}

/// `facts` and `base_config` are those of the live model.
inline Result<Selection> select(const StateDict& dict, const std::vector<NamedConfig>& configs,
                                std::size_t which = 0, const ModelFacts& facts = {},
                                const Json& base_config = {},
                                SaveEmbeddings embeddings = SaveEmbeddings::kAuto) {
  const auto layout = StateLayout::read(dict, facts).value();
  return select_adapter({.layout = layout,
                         .configs = configs,
                         .facts = facts,
                         .base_config = base_config,
                         .embeddings = embeddings},
                        configs[which]);
}

using Keys = std::vector<std::string>;

inline const Keys kLoraKeys = {"base_model.model.layers.0.q_proj.lora_A.weight",
                               "base_model.model.layers.0.q_proj.lora_B.weight"};

}  // namespace ferrule::peft
