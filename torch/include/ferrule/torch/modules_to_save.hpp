// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/nn/pimpl.h>

#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "ferrule/torch/adaptable_access.hpp"

namespace ferrule::libtorch {

namespace detail {

/// A module of any class with a place for trained copies; `Self` is the class that derives from it.
template <typename Impl, typename Self>
class SavableBase : public Impl, public Adaptable {
 public:
  using Impl::Impl;
  explicit SavableBase(const Impl& module) : Impl(module) {
    // Module is a virtual base in older releases: it is not copied on the way up.
    static_cast<Module&>(*this) = static_cast<const Module&>(module);
  }

  /// As forward(), with as many arguments as Impl::forward() can be called with.
  template <typename... Arguments>
  decltype(auto) call(Arguments&&... arguments) {
    if (!is_saved_whole()) return Impl::forward(std::forward<Arguments>(arguments)...);
    return dynamic_cast<Impl&>(answering()).forward(std::forward<Arguments>(arguments)...);
  }

  std::optional<LayerKind> kind() const override { return std::nullopt; }

  std::shared_ptr<Module> clone(const ::torch::optional<::at::Device>& device = {}) const override {
    TORCH_CHECK(
        !is_saved_whole(),
        "a module cannot be cloned once an adapter trains it, so torch::nn::parallel::"
        "data_parallel and replicate, which clone, do not work with it: clone before adding "
        "adapters, or run one model in each process");
    const auto plain = std::dynamic_pointer_cast<Impl>(Impl::clone(device));
    TORCH_CHECK(plain != nullptr, "clone() made a module of another type");
    return std::make_shared<Self>(std::as_const(*plain));
  }

 protected:
  Module& self() override { return *this; }

  std::shared_ptr<Module> push_down(const char* child, const std::string& box) override {
    auto inner = std::make_shared<Impl>(static_cast<const Impl&>(*this));
    const bool training = this->is_training();
    static_cast<Module&>(*this) = Module();
    Box::in(*this, box).register_module(child, inner);
    this->train(training);
    return inner;
  }

  void pull_up(const Module& inner) override {
    const bool training = this->is_training();
    if constexpr (std::is_copy_assignable_v<Impl>) {
      static_cast<Impl&>(*this) = dynamic_cast<const Impl&>(inner);
    } else {
      TORCH_CHECK(false, "a module of a class that cannot be assigned cannot be made plain again");
    }
    this->train(training);
  }

  std::unique_ptr<BaseLayer> base_of(std::shared_ptr<Module>) override { return nullptr; }
  std::unique_ptr<BaseLayer> peek_base() override { return nullptr; }

  std::shared_ptr<Module> copy_original() override {
    if (auto* original = AdaptableAccess(*this).original()) return original->clone();
    return std::make_shared<Impl>(static_cast<const Impl&>(*this))->clone();
  }
};

/// `R forward(Arguments...)` of a module, in parts, so that the wrapper's is not a template and
/// works in a Sequential.
template <typename Impl, typename Signature>
class SavableModule;

template <typename Impl, typename Owner, typename R, typename... Arguments>
class SavableModule<Impl, R (Owner::*)(Arguments...)>
    : public SavableBase<Impl, SavableModule<Impl, R (Owner::*)(Arguments...)>> {
 public:
  using SavableBase<Impl, SavableModule>::SavableBase;

  R forward(Arguments... arguments) { return this->call(std::forward<Arguments>(arguments)...); }
};

/// For modules whose forward() is a template (Sequential) or has several forms.
template <typename Impl>
class SavableModule<Impl, void> : public SavableBase<Impl, SavableModule<Impl, void>> {
 public:
  using SavableBase<Impl, SavableModule>::SavableBase;

  template <typename... Arguments>
  decltype(auto) forward(Arguments&&... arguments) {
    return this->call(std::forward<Arguments>(arguments)...);
  }
};

template <typename Impl>
struct ForwardOf {
  using Type = void;
};
template <typename Impl>
requires requires { &Impl::forward; }
struct ForwardOf<Impl> {
  using Type = decltype(&Impl::forward);
};

template <typename Impl>
using Savable = SavableModule<Impl, typename ForwardOf<Impl>::Type>;

}  // namespace detail

/// Makes a module of any kind one that `modules_to_save` can name: until an adapter does, it is
/// that module, with the same constructors and names. `Impl` is the module's class
/// (`torch::nn::LayerNormImpl`, `torch::nn::GRUImpl`, a container such as
/// `torch::nn::SequentialImpl`, or one of your own that derives from torch::nn::Cloneable). Linear,
/// Embedding, Conv1d and Conv2d of this library need no wrapper.
template <typename Impl>
class ModulesToSave : public ::torch::nn::ModuleHolder<detail::Savable<Impl>> {
 public:
  using ::torch::nn::ModuleHolder<detail::Savable<Impl>>::ModuleHolder;

  /// As Impl's, default arguments included.
  template <typename... Arguments>
  decltype(auto) operator()(Arguments&&... arguments) const {
    return this->ptr()->call(std::forward<Arguments>(arguments)...);
  }
};

}  // namespace ferrule::libtorch
