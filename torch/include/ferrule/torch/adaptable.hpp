// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/nn/module.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/adapter_config.hpp"
#include "ferrule/torch/base_layer.hpp"
#include "ferrule/torch/update.hpp"

namespace ferrule::libtorch {

namespace detail {

using Module = ::torch::nn::Module;

/// A module that only holds what is registered with it: PEFT's ModuleDict and ParameterDict.
class Box final : public Module {
 public:
  /// The box of that name, which is made if it does not exist; `parent` itself for "".
  static Module& in(Module& parent, const std::string& name) {
    if (name.empty()) return parent;
    const auto children = parent.named_children();
    if (const auto* child = children.find(name)) return dynamic_cast<Box&>(**child);
    return *parent.register_module(name, std::make_shared<Box>());
  }
};

inline void set_requires_grad(const Module& module, bool on) {
  for (auto& parameter : module.parameters()) {
    if (parameter.is_leaf()) parameter.set_requires_grad(on);
  }
}

}  // namespace detail

/// A module that can carry adapters or trained copies of itself: what the functions of this library
/// look for in a model. The layers below and ModulesToSave are such; there is no need to derive
/// from it.
class Adaptable {
 public:
  virtual ~Adaptable() = default;

  /// The kind of layer, or nullopt if it can only be trained as a whole.
  virtual std::optional<LayerKind> kind() const = 0;

  /// True once it has an adapter.
  bool is_adapted() const noexcept { return base_ != nullptr; }
  /// True once modules_to_save of an adapter names it.
  bool is_saved_whole() const noexcept { return original_ != nullptr; }
  /// True if it is not the plain module any more.
  bool is_changed() const noexcept { return is_adapted() || is_saved_whole(); }

 protected:
  Adaptable() = default;
  /// A copy starts without adapters: copies of modules are made before there are any.
  Adaptable(const Adaptable&) noexcept {}
  Adaptable& operator=(const Adaptable&) noexcept { return *this; }

  friend class AdaptableAccess;

  using Copies = std::map<std::string, std::shared_ptr<detail::Module>, std::less<>>;

  virtual detail::Module& self() = 0;
  /// Moves what the module holds one level down, into a child of that name in a box ("": in
  /// itself).
  virtual std::shared_ptr<detail::Module> push_down(const char* child, const std::string& box) = 0;
  /// The reverse: becomes what `inner`, a module of its class, is.
  virtual void pull_up(const detail::Module& inner) = 0;
  virtual std::unique_ptr<detail::BaseLayer> base_of(std::shared_ptr<detail::Module> child) = 0;
  /// A view of the layer as it is, without moving anything.
  virtual std::unique_ptr<detail::BaseLayer> peek_base() = 0;
  /// A deep copy of the module as it was without adapters. Throws if it cannot be cloned.
  virtual std::shared_ptr<detail::Module> copy_original() = 0;

  /// The trained copy that answers, or the original module.
  detail::Module& answering() const {
    if (!disabled_ && active_copy_) {
      const auto found = copies_.find(*active_copy_);
      if (found != copies_.end()) return *found->second;
    }
    return *original_;
  }

  ::at::Tensor adapted_forward(const ::at::Tensor& x, bool training) {
    std::vector<detail::Update*> running;
    if (!disabled_ && merged_.empty()) {
      for (const auto& name : active_) {
        if (auto* update = find(name)) running.push_back(update);
      }
    }
    if (running.empty()) return base_->forward(x);
    return running.front()->forward_all(*base_, x, running, training);
  }

  detail::Update* find(std::string_view adapter) const {
    for (const auto& update : updates_) {
      if (update->adapter() == adapter) return update.get();
    }
    return nullptr;
  }

 private:
  std::unique_ptr<detail::BaseLayer> base_;
  /// Between the module and its base layer; "" in all methods but one.
  std::string box_;
  std::vector<std::unique_ptr<detail::Update>> updates_;
  std::vector<std::string> active_;
  std::vector<std::string> merged_;
  bool disabled_ = false;
  /// The weight is another module's too, and merges go into a copy.
  bool tied_ = false;
  /// While something is merged into a tied weight: the weight, as member and as registered.
  ::at::Tensor tied_weight_, tied_registered_;

  std::shared_ptr<detail::Module> original_;
  Copies copies_;
  std::optional<std::string> active_copy_;
};

}  // namespace ferrule::libtorch
