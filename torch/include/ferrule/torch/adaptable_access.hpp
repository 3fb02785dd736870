// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "ferrule/torch/adaptable.hpp"

namespace ferrule::libtorch {

namespace detail {

/// LibTorch registers parameters, but does not take them back.
class RegisteredParameters : public Module {
 public:
  static ::torch::OrderedDict<std::string, Tensor>& of(Module& module) {
    return module.*(&RegisteredParameters::parameters_);
  }
};

/// Same shapes and values, whatever the dtypes.
inline bool is_same(const Tensor& a, const Tensor& b) {
  return a.sizes() == b.sizes() && at::equal(a.detach().to(b.options()), b.detach());
}

}  // namespace detail

/// What the functions of this library do to an Adaptable; not for users.
class AdaptableAccess final : private detail::MergeSite {
 public:
  explicit AdaptableAccess(Adaptable& place) : place_(place) {}

  // Updates.

  std::unique_ptr<detail::BaseLayer> peek_base() const { return place_.peek_base(); }
  detail::BaseLayer* base_layer() const { return place_.base_.get(); }
  const std::string& box() const { return place_.box_; }
  detail::Update* find(std::string_view adapter) const { return place_.find(adapter); }
  std::span<const std::unique_ptr<detail::Update>> updates() const { return place_.updates_; }
  const std::vector<std::string>& active() const { return place_.active_; }
  const std::vector<std::string>& merged() const { return place_.merged_; }

  void attach(detail::PreparedUpdate prepared) {
    auto& update = *prepared.update;
    if (!place_.base_) {
      place_.box_ = update.box();
      place_.base_ = place_.base_of(place_.push_down("base_layer", place_.box_));
    }
    if (prepared.new_weight.defined()) place_.base_->weight().set_data(prepared.new_weight);
    for (const auto& slot : update.slots()) register_slot(update, slot, false);
    update.seal();
    place_.updates_.push_back(std::move(prepared.update));
  }

  /// Takes one adapter away; without any left the layer is as it was before the first.
  void detach(std::string_view adapter) {
    auto& updates = place_.updates_;
    std::erase_if(updates, [&](const auto& update) { return update->adapter() == adapter; });
    std::erase(place_.active_, adapter);
    if (updates.empty()) return unload();
    auto& parent = detail::Box::in(place_.self(), place_.box_);
    for (const auto& name : parent.named_children().keys()) {
      if (name != "base_layer") parent.unregister_module(name);
    }
    for (const auto& update : updates) {
      for (const auto& slot : update->slots()) {
        register_slot(*update, slot, slot.tensor->requires_grad());
      }
    }
  }

  /// Makes it the plain layer again, with the weight that it has now.
  void unload() {
    if (!place_.base_) return;
    const auto base = place_.base_->module();
    place_.base_.reset();
    place_.box_.clear();
    place_.updates_.clear();
    place_.active_.clear();
    place_.merged_.clear();
    place_.disabled_ = false;
    place_.tied_weight_.reset();
    place_.tied_registered_.reset();
    place_.pull_up(*base);
  }

  void set_active(const std::vector<std::string>& names, bool trainable) {
    for (const auto& update : place_.updates_) {
      const bool on =
          trainable && std::find(names.begin(), names.end(), update->adapter()) != names.end();
      for (const auto& slot : update->slots()) {
        if (!slot.is_buffer) slot.tensor->set_requires_grad(on);
      }
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

  /// Says whether the weight is another module's too: a merge must not change that one.
  void set_tied(bool tied) { place_.tied_ = tied; }

  void merge(const std::vector<std::string>& names, bool safe) {
    for (const auto& name : mergeable(names)) {
      if (place_.tied_ && !place_.tied_weight_.defined()) {
        std::tie(place_.tied_weight_, place_.tied_registered_) = swap_weight(own_copy());
      }
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
    if (place_.tied_weight_.defined()) {
      swap_weight(std::exchange(place_.tied_weight_, {}),
                  std::exchange(place_.tied_registered_, {}));
    }
  }

  /// Whether a merge of these would leave finite numbers; the layer is as before afterwards.
  bool would_merge_finite(const std::vector<std::string>& names) {
    auto bias = place_.base_->bias();
    const auto old_bias = bias.defined() ? bias.data().clone() : ::at::Tensor();
    const auto bias_data = bias.defined() ? bias.data() : ::at::Tensor();
    const auto old_merged = place_.merged_;
    const bool was_tied = std::exchange(place_.tied_, false);
    const auto tied_weight = std::exchange(place_.tied_weight_, {});
    const auto [weight, registered] = swap_weight(own_copy());
    merge(names, true);
    const bool finite = ::at::isfinite(place_.base_->weight().data()).all().item<bool>() &&
                        (!bias.defined() || ::at::isfinite(bias.data()).all().item<bool>());
    swap_weight(weight, registered);
    if (bias.defined()) {
      bias.set_data(bias_data);
      bias.data().copy_(old_bias);
    }
    place_.merged_ = old_merged;
    place_.tied_ = was_tied;
    place_.tied_weight_ = tied_weight;
    return finite;
  }

  // Trained copies.

  Adaptable::Copies& copies() const { return place_.copies_; }
  detail::Module* original() const { return place_.original_.get(); }
  const std::optional<std::string>& active_copy() const { return place_.active_copy_; }
  std::shared_ptr<detail::Module> copy_original() { return place_.copy_original(); }

  /// Whether that adapter's copy has other values than the original module.
  bool is_copy_trained(std::string_view adapter) const {
    const auto copy = place_.copies_.find(adapter);
    if (copy == place_.copies_.end()) return false;
    const auto originals = place_.original_->named_parameters();
    for (const auto& entry : copy->second->named_parameters()) {
      const auto* original = originals.find(entry.key());
      if (original == nullptr || !detail::is_same(*original, entry.value())) return true;
    }
    return false;
  }

  void attach_copy(const std::string& adapter, std::shared_ptr<detail::Module> copy) {
    auto& self = place_.self();
    if (!place_.original_) place_.original_ = place_.push_down("original_module", "");
    detail::set_requires_grad(*place_.original_, false);
    detail::set_requires_grad(*copy, false);
    copy->train(self.is_training());
    detail::Box::in(self, "modules_to_save").register_module(adapter, copy);
    place_.copies_.emplace(adapter, std::move(copy));
  }

  /// Takes the copy of one adapter away; without any left the module is as it was.
  void detach_copy(const std::string& adapter) {
    if (place_.copies_.erase(adapter) == 0) return;
    if (place_.active_copy_ == adapter) place_.active_copy_.reset();
    if (place_.copies_.empty()) return unload_copies();
    detail::Box::in(place_.self(), "modules_to_save").unregister_module(adapter);
  }

  /// Makes it a plain module again: the active copy, or the original.
  void unload_copies() {
    if (!place_.original_) return;
    auto module = std::exchange(place_.original_, nullptr);
    if (place_.active_copy_) module = place_.copies_[*place_.active_copy_];
    place_.copies_.clear();
    place_.active_copy_.reset();
    place_.disabled_ = false;
    place_.pull_up(*module);
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
  void register_slot(const detail::Update& update, const detail::Slot& slot, bool requires_grad) {
    auto* box = &detail::Box::in(detail::Box::in(place_.self(), place_.box_), slot.attribute);
    std::string name = update.adapter();
    if (slot.leaf[0] != '\0') {
      box = &detail::Box::in(*box, name);
      name = slot.leaf;
    }
    if (slot.is_buffer) {
      box->register_buffer(name, *slot.tensor);
    } else {
      box->register_parameter(name, *slot.tensor, requires_grad);
    }
  }

  ::at::Tensor own_copy() const {
    const auto& weight = place_.base_->weight();
    return weight.detach().clone().set_requires_grad(weight.requires_grad());
  }

  /// Puts another tensor in the place of the weight, and gives the old one: as the layer's member,
  /// and as it is registered, which can be another if someone assigned to the member.
  std::pair<::at::Tensor, ::at::Tensor> swap_weight(::at::Tensor weight, ::at::Tensor registered) {
    auto& entry = detail::RegisteredParameters::of(*place_.base_->module())["weight"];
    registered = std::exchange(entry, std::move(registered));
    weight = std::exchange(place_.base_->weight(), std::move(weight));
    return {std::move(weight), std::move(registered)};
  }
  std::pair<::at::Tensor, ::at::Tensor> swap_weight(const ::at::Tensor& weight) {
    return swap_weight(weight, weight);
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

}  // namespace ferrule::libtorch
