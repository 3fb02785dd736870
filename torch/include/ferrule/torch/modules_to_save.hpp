// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/nn/pimpl.h>

#include <memory>
#include <optional>
#include <utility>

#include "ferrule/torch/adaptable.hpp"

namespace ferrule::torch {

namespace detail {

/// `R forward(Arguments...)` of a module, taken apart, so that the wrapper's is not a template and
/// works in a Sequential.
template <typename Impl, typename Signature>
class SavableModule;

template <typename Impl, typename Owner, typename R, typename... Arguments>
class SavableModule<Impl, R (Owner::*)(Arguments...)> : public Impl, public Adaptable {
 public:
  using Impl::Impl;
  explicit SavableModule(const Impl& module) : Impl(module) {
    // Module is a virtual base in older releases: it is not copied on the way up.
    static_cast<Module&>(*this) = static_cast<const Module&>(module);
  }

  R forward(Arguments... arguments) {
    if (!is_saved_whole()) return Impl::forward(std::forward<Arguments>(arguments)...);
    return dynamic_cast<Impl&>(answering()).forward(std::forward<Arguments>(arguments)...);
  }

  std::optional<LayerKind> kind() const override { return std::nullopt; }

  std::shared_ptr<Module> clone(const ::torch::optional<::at::Device>& device = {}) const override {
    TORCH_CHECK(
        !is_saved_whole(),
        "a module cannot be cloned once an adapter trains it: clone before adding adapters");
    const auto plain = std::dynamic_pointer_cast<Impl>(Impl::clone(device));
    TORCH_CHECK(plain != nullptr, "clone() made a module of another type");
    return std::make_shared<SavableModule>(*plain);
  }

 protected:
  Module& self() override { return *this; }

  std::shared_ptr<Module> push_down(const char* child) override {
    auto inner = std::make_shared<Impl>(static_cast<const Impl&>(*this));
    const bool training = this->is_training();
    static_cast<Module&>(*this) = Module();
    this->register_module(child, inner);
    this->train(training);
    return inner;
  }

  std::unique_ptr<BaseLayer> base_of(std::shared_ptr<Module>) override { return nullptr; }
  std::unique_ptr<BaseLayer> peek_base() override { return nullptr; }

  std::shared_ptr<Module> copy_original() override {
    if (auto* original = AdaptableAccess(*this).original()) return original->clone();
    return std::make_shared<Impl>(static_cast<const Impl&>(*this))->clone();
  }
};

}  // namespace detail

/// Makes a module of any kind one that `modules_to_save` can name: until an adapter does, it is
/// that module, with the same constructors and names. `Impl` is the module's class
/// (`torch::nn::LayerNormImpl`, or one of your own that derives from torch::nn::Cloneable) with one
/// forward() that is not a template. Linear, Embedding, Conv1d and Conv2d of this library need no
/// wrapper.
template <typename Impl>
class ModulesToSave
    : public ::torch::nn::ModuleHolder<detail::SavableModule<Impl, decltype(&Impl::forward)>> {
  using Holder = ::torch::nn::ModuleHolder<detail::SavableModule<Impl, decltype(&Impl::forward)>>;

 public:
  using Holder::Holder;
};

}  // namespace ferrule::torch
