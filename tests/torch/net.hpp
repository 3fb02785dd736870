// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/normalization.h>

#include <cstdint>
#include <string_view>

#include "ferrule/torch.hpp"

/// A small model with a layer of each kind; tests/torch/net.py is the same in Python.
struct BlockImpl : torch::nn::Module {
  explicit BlockImpl(int64_t width) {
    q_proj = register_module(
        "q_proj", ferrule::torch::Linear(torch::nn::LinearOptions(width, 2 * width).bias(false)));
    v_proj = register_module("v_proj", ferrule::torch::Linear(2 * width, width));
  }
  at::Tensor forward(const at::Tensor& x) { return x + v_proj(at::tanh(q_proj(x))); }

  ferrule::torch::Linear q_proj{nullptr};
  ferrule::torch::Linear v_proj{nullptr};
};
TORCH_MODULE(Block);

struct Net : torch::nn::Module {
  static constexpr int64_t kWidth = 12;
  static constexpr int64_t kWords = 10;

  /// `kind`: "shared" has one block twice, "tied" one weight for embedding and head.
  explicit Net(std::string_view kind = "") {
    embed = register_module("embed", ferrule::torch::Embedding(kWords, kWidth));
    conv1 = register_module(
        "conv1", ferrule::torch::Conv1d(torch::nn::Conv1dOptions(kWidth, kWidth, 3).padding(1)));
    conv2 = register_module(
        "conv2", ferrule::torch::Conv2d(torch::nn::Conv2dOptions(1, 8, {3, 5}).padding({1, 2})));
    point = register_module("point",
                            ferrule::torch::Conv2d(torch::nn::Conv2dOptions(8, 4, 1).bias(false)));
    grouped = register_module(
        "grouped", ferrule::torch::Conv2d(torch::nn::Conv2dOptions(4, 4, 3).padding(1).groups(2)));
    layers = register_module("layers", torch::nn::ModuleList());
    const Block first(kWidth);
    layers->push_back(first);
    layers->push_back(kind == "shared" ? first : Block(kWidth));
    norm = register_module("norm", ferrule::torch::ModulesToSave<torch::nn::LayerNormImpl>(
                                       torch::nn::LayerNormOptions({kWidth})));
    head = register_module("head", ferrule::torch::Linear(kWidth, kWords));
    if (kind == "tied") head->weight.set_data(embed->weight.data());
    // As many programs do it: the head's registered parameter stays what it was.
    if (kind == "assigned") head->weight = embed->weight;
  }

  at::Tensor forward(const at::Tensor& words) {
    auto x = embed(words);
    x = x + conv1(x.transpose(1, 2)).transpose(1, 2);
    auto plane = grouped(point(at::relu(conv2(x.unsqueeze(1)))));
    x = x + plane.mean(1);
    for (const auto& layer : *layers) x = layer->as<BlockImpl>()->forward(x);
    return head(norm(x));
  }

  ferrule::torch::Embedding embed{nullptr};
  ferrule::torch::Conv1d conv1{nullptr};
  ferrule::torch::Conv2d conv2{nullptr};
  ferrule::torch::Conv2d point{nullptr};
  ferrule::torch::Conv2d grouped{nullptr};
  torch::nn::ModuleList layers{nullptr};
  ferrule::torch::ModulesToSave<torch::nn::LayerNormImpl> norm{nullptr};
  ferrule::torch::Linear head{nullptr};
};
