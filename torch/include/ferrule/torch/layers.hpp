// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/nn/pimpl.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "ferrule/torch/adaptable_access.hpp"

namespace ferrule::libtorch {

/// A layer of LibTorch that can carry adapters. Until one is added it is that layer: the same
/// constructors, members, names and numbers. With one it has the names that PEFT gives its parts
/// (`base_layer.weight`, `lora_A.default.weight`).
///
/// Its forward() is not virtual, as LibTorch's are not: hold it by its own type, or in a
/// Sequential. It cannot be cloned once it carries adapters.
template <typename Impl>
class AdaptableLayer : public Impl, public Adaptable {
 public:
  using Impl::Impl;
  /// The same layer, sharing its parameters.
  explicit AdaptableLayer(const Impl& layer) : Impl(layer) {
    // Module is a virtual base in older releases: it is not copied on the way up.
    static_cast<detail::Module&>(*this) = static_cast<const detail::Module&>(layer);
  }

  ::at::Tensor forward(const ::at::Tensor& input) {
    if (is_adapted()) return adapted_forward(input, this->is_training());
    if (is_saved_whole()) return dynamic_cast<Impl&>(answering()).forward(input);
    return Impl::forward(input);
  }

  std::optional<LayerKind> kind() const override {
    return detail::make_base(std::make_shared<Impl>(static_cast<const Impl&>(*this)))->kind();
  }

  std::shared_ptr<detail::Module> clone(
      const ::torch::optional<::at::Device>& device = {}) const override {
    TORCH_CHECK(!is_adapted() && !is_saved_whole(),
                "a layer cannot be cloned once it carries adapters, so torch::nn::parallel::"
                "data_parallel and replicate, which clone, do not work with it: clone before "
                "adding adapters, or run one model in each process");
    const auto plain = std::dynamic_pointer_cast<Impl>(Impl::clone(device));
    return std::make_shared<AdaptableLayer>(*plain);
  }

 protected:
  detail::Module& self() override { return *this; }

  std::shared_ptr<detail::Module> push_down(const char* child, const std::string& box) override {
    auto inner = std::make_shared<Impl>(static_cast<const Impl&>(*this));
    const bool training = this->is_training();
    static_cast<detail::Module&>(*this) = detail::Module();
    detail::Box::in(*this, box).register_module(child, inner);
    this->train(training);
    return inner;
  }

  void pull_up(const detail::Module& inner) override {
    const bool training = this->is_training();
    static_cast<Impl&>(*this) = dynamic_cast<const Impl&>(inner);
    this->train(training);
  }

  std::unique_ptr<detail::BaseLayer> base_of(std::shared_ptr<detail::Module> child) override {
    return detail::make_base(std::dynamic_pointer_cast<Impl>(std::move(child)));
  }

  std::unique_ptr<detail::BaseLayer> peek_base() override {
    return detail::make_base(std::make_shared<Impl>(static_cast<const Impl&>(*this)));
  }

  std::shared_ptr<detail::Module> copy_original() override {
    if (auto* original = AdaptableAccess(*this).original()) return original->clone();
    return std::make_shared<Impl>(static_cast<const Impl&>(*this))->clone();
  }
};

using LinearImpl = AdaptableLayer<::torch::nn::LinearImpl>;
using EmbeddingImpl = AdaptableLayer<::torch::nn::EmbeddingImpl>;
using Conv1dImpl = AdaptableLayer<::torch::nn::Conv1dImpl>;
using Conv2dImpl = AdaptableLayer<::torch::nn::Conv2dImpl>;

/// torch::nn::Linear that can carry LoRA, DoRA, IA3, LoHa and LoKr.
class Linear : public ::torch::nn::ModuleHolder<LinearImpl> {
 public:
  using ::torch::nn::ModuleHolder<LinearImpl>::ModuleHolder;
};

/// torch::nn::Embedding that can carry LoRA and DoRA.
class Embedding : public ::torch::nn::ModuleHolder<EmbeddingImpl> {
 public:
  using ::torch::nn::ModuleHolder<EmbeddingImpl>::ModuleHolder;
};

/// torch::nn::Conv1d that can carry LoRA, DoRA, LoHa and LoKr.
class Conv1d : public ::torch::nn::ModuleHolder<Conv1dImpl> {
 public:
  using ::torch::nn::ModuleHolder<Conv1dImpl>::ModuleHolder;
};

/// torch::nn::Conv2d that can carry LoRA, DoRA, IA3, LoHa and LoKr.
class Conv2d : public ::torch::nn::ModuleHolder<Conv2dImpl> {
 public:
  using ::torch::nn::ModuleHolder<Conv2dImpl>::ModuleHolder;
};

}  // namespace ferrule::libtorch
