// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>
#include <vector>

#include "ferrule/torch/update.hpp"

namespace ferrule::libtorch::detail {

/// (IA)^3: a learned factor on each input (feedforward modules) or output of a layer.
class Ia3Update final : public Update {
 public:
  Ia3Update(UpdateSettings settings, LayerKind kind, Tensor factors, bool neutral)
      : Update(std::move(settings)), kind_(kind), factors_(std::move(factors)), neutral_(neutral) {}

  std::vector<Slot> slots() override { return {{"ia3_l", "", &factors_}}; }
  bool has_scaling() const override { return false; }

  Tensor forward_all(BaseLayer& base, const Tensor& x, std::span<Update* const> active,
                     bool) override {
    Tensor scaling;
    for (auto* update : active) {
      const auto& factors = static_cast<Ia3Update&>(*update).factors_;
      const auto mine = kind_ == LayerKind::kLinear ? factors.flatten() : factors;
      scaling = scaling.defined() ? scaling * mine : mine;
    }
    if (settings().feedforward) {
      const auto type = kind_ == LayerKind::kLinear ? x.scalar_type() : base.weight().scalar_type();
      const auto input = (x.to(scaling.scalar_type()) * scaling).to(type);
      return base.forward(input).to(x.scalar_type());
    }
    const auto result = base.forward(x);
    return (result * scaling)
        .to(kind_ == LayerKind::kLinear ? result.scalar_type() : x.scalar_type());
  }

  void merge(MergeSite& site, bool) override {
    auto& weight = site.base().weight();
    const auto factors = factors_.data();
    weight.set_data(
        at::mul(weight.data(), on_weight(site.base(), factors)).to(weight.scalar_type()));
    auto bias = site.base().bias();
    if (settings().feedforward || !bias.defined()) return;
    bias.set_data(at::mul(bias.data(), factors.reshape(bias.sizes())).to(bias.scalar_type()));
  }

  /// Divides, with a tolerance against factors of zero: not exact, as in PEFT.
  void unmerge(MergeSite& site) override {
    auto& weight = site.base().weight();
    const auto factors = factors_.data();
    weight.set_data(
        at::div(weight.data(), on_weight(site.base(), factors) + 1e-8).to(weight.scalar_type()));
    auto bias = site.base().bias();
    if (settings().feedforward || !bias.defined()) return;
    bias.set_data(
        at::div(bias.data(), factors.reshape(bias.sizes()) + 1e-8).to(bias.scalar_type()));
  }

 protected:
  bool starts_neutral() const override { return neutral_; }
  bool is_neutral() override { return at::eq(factors_, 1).all().item<bool>(); }

 private:
  /// The factors in a shape that goes with the weight.
  Tensor on_weight(const BaseLayer& base, const Tensor& factors) const {
    if (kind_ == LayerKind::kLinear) return factors;
    if (!settings().feedforward) return factors.transpose(0, 1);
    const auto groups = base.groups();
    if (groups == 1) return factors;
    const auto inputs = base.in_features() / groups;
    const auto outputs = base.out_features() / groups;
    return factors.reshape({groups, 1, inputs, 1, 1})
        .expand({groups, outputs, inputs, 1, 1})
        .reshape({base.out_features(), inputs, 1, 1});
  }

  LayerKind kind_;
  Tensor factors_;
  bool neutral_;
};

}  // namespace ferrule::libtorch::detail
