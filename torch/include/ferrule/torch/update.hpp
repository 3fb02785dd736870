// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/nn/init.h>

#include <cmath>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ferrule/adapter_config.hpp"
#include "ferrule/torch/base_layer.hpp"

namespace ferrule::libtorch::detail {

struct VeraProjections;

/// A config resolved for one module.
struct UpdateSettings {
  std::string adapter;
  std::shared_ptr<const AdapterConfig> config;
  std::int64_t rank = 0;
  /// The factor that the config gives, and the one that is applied now.
  double initial_scaling = 1;
  double scaling = 1;
  bool feedforward = false;
};

/// A tensor of an adapter and its name on the layer: `ATTRIBUTE.NAME`, or `ATTRIBUTE.NAME.LEAF` if
/// PEFT has a module there.
struct Slot {
  const char* attribute;
  const char* leaf;
  Tensor* tensor;
  /// Not trained: PEFT has a buffer there.
  bool is_buffer = false;
};

/// What an update needs of its layer while it is merged.
class MergeSite {
 public:
  virtual ~MergeSite() = default;
  virtual BaseLayer& base() = 0;
  /// The base weight without the adapters that are merged already.
  virtual Tensor unmerged_weight(bool safe) = 0;
};

/// One adapter on one layer: its tensors and its arithmetic, operation for operation that of PEFT's
/// layer, so that both round alike.
class Update {
 public:
  explicit Update(UpdateSettings settings) : settings_(std::move(settings)) {}
  virtual ~Update() = default;
  Update(const Update&) = delete;
  Update& operator=(const Update&) = delete;

  const std::string& adapter() const noexcept { return settings_.adapter; }
  const std::shared_ptr<const AdapterConfig>& config() const noexcept { return settings_.config; }

  virtual std::vector<Slot> slots() = 0;

  /// The layer's output with these active updates, all of the same method as this one.
  virtual Tensor forward_all(BaseLayer& base, const Tensor& x, std::span<Update* const> active,
                             bool training) = 0;

  /// Puts the update into the base's weight (and bias), or takes it out. `safe` works on a copy, as
  /// PEFT's safe_merge does.
  virtual void merge(MergeSite& site, bool safe) = 0;
  virtual void unmerge(MergeSite& site) = 0;
  /// Why it cannot be merged; empty if it can.
  virtual std::string merge_obstacle(const BaseLayer&) const { return {}; }

  /// The module between the layer and its tensors; "" if there is none.
  virtual std::string box() const { return {}; }

  /// True if it was made to change no output, and by its values still does not. One that came from
  /// a file is what it is.
  bool is_untrained() {
    const ::torch::NoGradGuard no_grad;
    return !is_loaded_ && starts_neutral() && is_neutral();
  }

  void mark_loaded() noexcept { is_loaded_ = true; }

  double initial_scaling() const noexcept { return settings_.initial_scaling; }
  double scaling() const noexcept { return settings_.scaling; }
  /// Whether the method has a factor at all.
  virtual bool has_scaling() const { return true; }
  void set_scaling(double scaling) { settings_.scaling = scaling; }

  /// VeRA's matrices, which the whole adapter shares; nullptr for other methods.
  virtual const VeraProjections* projections() const { return nullptr; }
  /// The rows of the weight that it replaces; nullptr if it is not about tokens.
  virtual const std::vector<std::int64_t>* tokens() const { return nullptr; }

  /// PEFT's autocast_adapter_dtype: half precisions are trained in float32.
  void upcast() {
    for (const auto& slot : slots()) {
      // What is shared stays one tensor.
      if (slot.is_buffer && projections() != nullptr) continue;
      const auto type = slot.tensor->scalar_type();
      if (type == at::kHalf || type == at::kBFloat16) *slot.tensor = slot.tensor->to(at::kFloat);
    }
  }

  /// Keeps what is_neutral() compares with. Called once the tensors are in the model.
  virtual void seal() {}

 protected:
  const UpdateSettings& settings() const noexcept { return settings_; }
  std::int64_t rank() const noexcept { return settings_.rank; }
  virtual bool starts_neutral() const = 0;
  /// Whether the values that it has now change no output.
  virtual bool is_neutral() = 0;

 private:
  UpdateSettings settings_;
  bool is_loaded_ = false;
};

/// An update that was made but does not hang on its layer yet.
struct PreparedUpdate {
  std::unique_ptr<Update> update;
  /// The base weight that the initialization leaves (PiSSA, OLoRA); undefined if it
  /// changes nothing.
  Tensor new_weight = {};
};

/// Nothing but zeros (NaN is not zero).
inline bool is_zero(const Tensor& tensor) {
  return tensor.numel() == 0 || !tensor.detach().any().item<bool>();
}

inline Tensor kaiming(at::IntArrayRef sizes) {
  return ::torch::nn::init::kaiming_uniform_(at::empty(sizes), std::sqrt(5.0));
}

/// In place, and not seen by autograd, as writing to `.data` is in Python.
inline void add_to(Tensor& weight, const Tensor& delta) { weight.data().add_(delta); }
inline void subtract_from(Tensor& weight, const Tensor& delta) { weight.data().sub_(delta); }

/// Updates that only add a delta to the weight: LoHa and LoKr.
class WeightUpdate : public Update {
 public:
  using Update::Update;

  Tensor forward_all(BaseLayer& base, const Tensor& x, std::span<Update* const> active,
                     bool training) override {
    auto result = base.forward(x);
    for (auto* update : active) {
      auto& self = static_cast<WeightUpdate&>(*update);
      // A number is drawn whether or not there is dropout, as PEFT does.
      if (training && at::rand({1}).item<double>() <= self.number("module_dropout")) continue;
      const auto drop = training && self.number("rank_dropout") != 0;
      const auto delta = self.delta(base, drop);
      result = result + base.apply(x.to(delta.scalar_type()), delta);
    }
    return result.to(x.scalar_type());
  }

  void merge(MergeSite& site, bool safe) final {
    auto& weight = site.base().weight();
    const auto delta = this->delta(site.base(), false);
    if (!safe) return add_to(weight, delta);
    auto merged = weight.data().clone();
    weight.set_data(merged.add_(delta));
  }

  void unmerge(MergeSite& site) final {
    subtract_from(site.base().weight(), delta(site.base(), false));
  }

 protected:
  /// The change of the weight, in its shape.
  virtual Tensor delta(BaseLayer& base, bool rank_dropout) = 0;

  double number(const char* field) const { return config()->number(field).value_or(0); }

  /// 1 for the rows that a drop-out of ranks keeps, 0 for the others.
  Tensor kept_rows(const Tensor& weight) const {
    auto drop = at::rand({weight.size(0)}).gt(number("rank_dropout")).to(weight.scalar_type());
    std::vector<std::int64_t> view(static_cast<std::size_t>(weight.dim()), 1);
    view[0] = -1;
    return drop.view(view).to(weight.device());
  }
};

}  // namespace ferrule::libtorch::detail
