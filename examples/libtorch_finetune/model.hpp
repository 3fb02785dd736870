// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/nn/modules/container/modulelist.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include "ferrule/torch.hpp"

/// A language model of characters: attention over what came before. model.py is the same in Python.
class BlockImpl : public torch::nn::Module {
 public:
  explicit BlockImpl(std::int64_t width) {
    q_proj = register_module("q_proj", ferrule::torch::Linear(width, width));
    k_proj = register_module("k_proj", ferrule::torch::Linear(width, width));
    v_proj = register_module("v_proj", ferrule::torch::Linear(width, width));
    up = register_module("up", ferrule::torch::Linear(width, 2 * width));
    down = register_module("down", ferrule::torch::Linear(2 * width, width));
  }

  at::Tensor forward(const at::Tensor& x) {
    const auto length = x.size(1);
    const auto scores = at::matmul(q_proj(x), k_proj(x).transpose(1, 2)) /
                        std::sqrt(static_cast<double>(x.size(2)));
    const auto later = at::ones({length, length}, at::kBool).triu(1);
    const auto attention = at::softmax(scores.masked_fill(later, -1e9), -1);
    const auto y = x + at::matmul(attention, v_proj(x));
    return y + down(at::relu(up(y)));
  }

 private:
  ferrule::torch::Linear q_proj{nullptr}, k_proj{nullptr}, v_proj{nullptr};
  ferrule::torch::Linear up{nullptr}, down{nullptr};
};
TORCH_MODULE(Block);

class LanguageModel : public torch::nn::Module {
 public:
  static constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz ,.;\n";
  static constexpr std::int64_t kWidth = 32;
  static constexpr std::int64_t kContext = 32;

  LanguageModel() {
    const auto letters = static_cast<std::int64_t>(kLetters.size());
    embed = register_module("embed", ferrule::torch::Embedding(letters, kWidth));
    position = register_module("position", ferrule::torch::Embedding(kContext, kWidth));
    layers = register_module("layers", torch::nn::ModuleList());
    for (int i = 0; i < 2; ++i) layers->push_back(Block(kWidth));
    head = register_module("head", ferrule::torch::Linear(kWidth, letters));
  }

  at::Tensor forward(const at::Tensor& text) {
    auto x = embed(text) + position(at::arange(text.size(1)));
    for (const auto& layer : *layers) x = layer->as<BlockImpl>()->forward(x);
    return head(x);
  }

  /// The text as numbers, letters that the model does not know left out.
  static at::Tensor encode(std::string_view text) {
    std::vector<std::int64_t> numbers;
    for (const char letter : text) {
      const auto at = kLetters.find(letter);
      if (at != std::string_view::npos) numbers.push_back(static_cast<std::int64_t>(at));
    }
    return at::tensor(numbers);
  }

 private:
  ferrule::torch::Embedding embed{nullptr}, position{nullptr};
  torch::nn::ModuleList layers{nullptr};
  ferrule::torch::Linear head{nullptr};
};
