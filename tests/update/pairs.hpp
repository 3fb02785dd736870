// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ferrule/adapter.hpp"
#include "ferrule/checkpoint.hpp"

namespace ferrule::update {

/// Tensors of F32 in memory of their own.
class Numbers {
 public:
  Numbers& add(std::string name, std::vector<std::uint64_t> shape, std::vector<float> values) {
    tensors_.push_back({std::move(name), std::move(shape), std::move(values)});
    return *this;
  }
  /// A LoRA pair of layers.0.q: A of `rank` by `in`, B of `out` by `rank`.
  Numbers& pair(std::vector<float> a, std::vector<float> b, std::uint64_t rank) {
    const auto in = a.size() / rank, out = b.size() / rank;
    add("base_model.model.layers.0.q.lora_A.weight", {rank, in}, std::move(a));
    return add("base_model.model.layers.0.q.lora_B.weight", {out, rank}, std::move(b));
  }
  /// Views of the tensors, which this object keeps.
  StateDict dict() const {
    StateDict state;
    for (const auto& tensor : tensors_) {
      EXPECT_TRUE(state.add(tensor.name, Dtype::kF32, tensor.shape,
                            std::as_bytes(std::span(tensor.values))));
    }
    return state;
  }
  /// The adapter of that config. This object must outlive it.
  Adapter adapter_of(std::string_view json) const {
    auto config = AdapterConfig::parse(json);
    EXPECT_TRUE(config) << config.error().to_string();
    auto adapter = Adapter::make(*std::move(config), std::make_unique<StateDict>(dict()));
    EXPECT_TRUE(adapter) << adapter.error().to_string();
    return *std::move(adapter);
  }
  /// A LoRA with these fields.
  Adapter adapter(std::string_view fields = R"("r": 1, "lora_alpha": 1)") const {
    return adapter_of(R"({"peft_type": "LORA", "target_modules": ["q"], )" + std::string(fields) +
                      "}");
  }

 private:
  struct Tensor {
    std::string name;
    std::vector<std::uint64_t> shape;
    std::vector<float> values;
  };
  std::deque<Tensor> tensors_;
};

}  // namespace ferrule::update
