// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/nn/module.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ferrule/adapter_config.hpp"
#include "ferrule/torch/base_layer.hpp"
#include "ferrule/torch/update.hpp"

namespace ferrule::torch {

namespace detail {

using Module = ::torch::nn::Module;

/// A module that only holds what is registered with it: PEFT's ModuleDict and ParameterDict.
class Box final : public Module {
 public:
  /// The box of that name, which is made if it does not exist.
  static Box& in(Module& parent, const std::string& name) {
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

  /// True once an adapter hangs on it.
  bool is_adapted() const noexcept { return base_ != nullptr; }
  /// True once modules_to_save of an adapter names it.
  bool is_saved_whole() const noexcept { return original_ != nullptr; }

 protected:
  Adaptable() = default;
  /// A copy starts without adapters: copies of modules are made before there are any.
  Adaptable(const Adaptable&) noexcept {}
  Adaptable& operator=(const Adaptable&) noexcept { return *this; }

  friend class AdaptableAccess;

  using Copies = std::map<std::string, std::shared_ptr<detail::Module>, std::less<>>;

  virtual detail::Module& self() = 0;
  /// Moves what the module holds one level down, into a child of that name.
  virtual std::shared_ptr<detail::Module> push_down(const char* child) = 0;
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
  std::vector<std::unique_ptr<detail::Update>> updates_;
  std::vector<std::string> active_;
  std::vector<std::string> merged_;
  bool disabled_ = false;

  std::shared_ptr<detail::Module> original_;
  Copies copies_;
  std::map<std::string, std::int64_t, std::less<>> copy_versions_;
  std::optional<std::string> active_copy_;
};

/// What the functions of this library do to an Adaptable; not for users.
class AdaptableAccess final : private detail::MergeSite {
 public:
  explicit AdaptableAccess(Adaptable& place) : place_(place) {}

  // Updates.

  std::unique_ptr<detail::BaseLayer> peek_base() const { return place_.peek_base(); }
  detail::BaseLayer* base_layer() const { return place_.base_.get(); }
  detail::Update* find(std::string_view adapter) const { return place_.find(adapter); }
  std::span<const std::unique_ptr<detail::Update>> updates() const { return place_.updates_; }
  const std::vector<std::string>& active() const { return place_.active_; }
  const std::vector<std::string>& merged() const { return place_.merged_; }

  void attach(detail::PreparedUpdate prepared) {
    auto& self = place_.self();
    if (!place_.base_) place_.base_ = place_.base_of(place_.push_down("base_layer"));
    if (prepared.new_weight.defined()) place_.base_->weight().set_data(prepared.new_weight);
    auto& update = *prepared.update;
    for (const auto& slot : update.slots()) {
      detail::Module* box = &detail::Box::in(self, slot.attribute);
      std::string name = update.adapter();
      if (slot.leaf[0] != '\0') {
        box = &detail::Box::in(*box, name);
        name = slot.leaf;
      }
      box->register_parameter(name, *slot.tensor, false);
    }
    update.seal();
    place_.updates_.push_back(std::move(prepared.update));
  }

  void set_active(const std::vector<std::string>& names, bool trainable) {
    for (const auto& update : place_.updates_) {
      const bool on =
          trainable && std::find(names.begin(), names.end(), update->adapter()) != names.end();
      for (const auto& slot : update->slots()) slot.tensor->set_requires_grad(on);
    }
    place_.active_ = names;
  }

  // Merging.

  std::vector<std::string> mergeable(const std::vector<std::string>& names) const {
    std::vector<std::string> left;
    for (const auto& name : names) {
      const auto& merged = place_.merged_;
      if (find(name) == nullptr) continue;
      if (std::find(merged.begin(), merged.end(), name) == merged.end()) left.push_back(name);
    }
    return left;
  }

  void merge(const std::vector<std::string>& names, bool safe) {
    for (const auto& name : mergeable(names)) {
      find(name)->merge(*this, safe);
      place_.merged_.push_back(name);
    }
  }

  void unmerge() {
    while (!place_.merged_.empty()) {
      auto* update = find(place_.merged_.back());
      place_.merged_.pop_back();
      if (update != nullptr) update->unmerge(*this);
    }
  }

  /// Whether a merge of these would leave finite numbers; the layer is as before afterwards.
  bool would_merge_finite(const std::vector<std::string>& names) {
    auto& weight = place_.base_->weight();
    auto bias = place_.base_->bias();
    const auto old_weight = weight.data().clone();
    const auto old_bias = bias.defined() ? bias.data().clone() : ::at::Tensor();
    const auto old_merged = place_.merged_;
    merge(names, true);
    const bool finite = ::at::isfinite(weight.data()).all().item<bool>() &&
                        (!bias.defined() || ::at::isfinite(bias.data()).all().item<bool>());
    weight.data().copy_(old_weight);
    if (bias.defined()) bias.data().copy_(old_bias);
    place_.merged_ = old_merged;
    return finite;
  }

  // Trained copies.

  Adaptable::Copies& copies() const { return place_.copies_; }
  detail::Module* original() const { return place_.original_.get(); }
  const std::optional<std::string>& active_copy() const { return place_.active_copy_; }
  std::shared_ptr<detail::Module> copy_original() { return place_.copy_original(); }

  /// Whether something has written to that adapter's copy since it was made.
  bool is_copy_touched(std::string_view adapter) const {
    const auto copy = place_.copies_.find(adapter);
    return copy != place_.copies_.end() &&
           version_of(*copy->second) != place_.copy_versions_.find(adapter)->second;
  }

  void attach_copy(const std::string& adapter, std::shared_ptr<detail::Module> copy) {
    auto& self = place_.self();
    if (!place_.original_) place_.original_ = place_.push_down("original_module");
    detail::set_requires_grad(*place_.original_, false);
    detail::set_requires_grad(*copy, false);
    copy->train(self.is_training());
    detail::Box::in(self, "modules_to_save").register_module(adapter, copy);
    place_.copy_versions_.emplace(adapter, version_of(*copy));
    place_.copies_.emplace(adapter, std::move(copy));
  }

  void set_active_copy(std::optional<std::string> adapter, bool trainable) {
    if (place_.active_copy_)
      detail::set_requires_grad(*place_.copies_[*place_.active_copy_], false);
    place_.active_copy_ = std::move(adapter);
    if (place_.active_copy_) {
      detail::set_requires_grad(*place_.copies_[*place_.active_copy_], trainable);
    }
  }

  // Both.

  void disable() {
    unmerge();
    const auto names = place_.active_;
    set_active(names, false);
    for (const auto& [name, copy] : place_.copies_) detail::set_requires_grad(*copy, false);
    place_.disabled_ = true;
  }

  void enable() {
    set_active(std::vector<std::string>(place_.active_), true);
    if (place_.active_copy_) {
      detail::set_requires_grad(*place_.copies_[*place_.active_copy_], true);
    }
    place_.disabled_ = false;
  }

 private:
  static std::int64_t version_of(const detail::Module& module) {
    std::int64_t sum = 0;
    for (const auto& tensor : module.parameters())
      sum += static_cast<std::int64_t>(tensor._version());
    return sum;
  }

  detail::BaseLayer& base() override { return *place_.base_; }

  /// Takes the merged adapters out, copies the weight, and merges them again, as PEFT does: its
  /// rounding is part of what DoRA's norm is taken of.
  ::at::Tensor unmerged_weight(bool safe) override {
    if (unmerged_.defined()) return unmerged_;
    const auto names = place_.merged_;
    if (!names.empty()) unmerge();
    const auto weight = place_.base_->weight().detach().clone();
    unmerged_ = weight;
    if (!names.empty()) merge(names, safe);
    unmerged_.reset();
    return weight;
  }

  Adaptable& place_;
  ::at::Tensor unmerged_;
};

}  // namespace ferrule::torch
