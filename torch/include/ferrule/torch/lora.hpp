// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ferrule/torch/update.hpp"

namespace ferrule::libtorch::detail {

/// LoRA and DoRA on any kind of layer.
class LoraUpdate final : public Update {
 public:
  struct Tensors {
    Tensor a;
    Tensor b;
    /// lora_bias; undefined without.
    Tensor bias = {};
    /// DoRA; undefined without.
    Tensor magnitude = {};
  };

  LoraUpdate(UpdateSettings settings, LayerKind kind, Tensors tensors, bool neutral)
      : Update(std::move(settings)),
        kind_(kind),
        tensors_(std::move(tensors)),
        dropout_(config()->number("lora_dropout").value_or(0)),
        neutral_(neutral) {}

  std::vector<Slot> slots() override {
    const bool embedding = kind_ == LayerKind::kEmbedding;
    std::vector<Slot> slots = {
        {embedding ? "lora_embedding_A" : "lora_A", embedding ? "" : "weight", &tensors_.a},
        {embedding ? "lora_embedding_B" : "lora_B", embedding ? "" : "weight", &tensors_.b}};
    if (tensors_.bias.defined()) slots.push_back({"lora_B", "bias", &tensors_.bias});
    if (tensors_.magnitude.defined()) {
      slots.push_back({"lora_magnitude_vector", "weight", &tensors_.magnitude});
    }
    return slots;
  }

  Tensor forward_all(BaseLayer& base, const Tensor& x, std::span<Update* const> active,
                     bool training) override {
    auto result = base.forward(x);
    const auto type = result.scalar_type();
    auto input = x;
    for (auto* update : active) {
      auto& self = static_cast<LoraUpdate&>(*update);
      if (kind_ != LayerKind::kEmbedding) input = input.to(self.tensors_.a.scalar_type());
      result = self.is_dora() ? self.dora_forward(base, input, result, training)
                              : result + self.plain_forward(base, input, training);
    }
    return result.to(type);
  }

  void merge(MergeSite& site, bool safe) override {
    auto& weight = site.base().weight();
    const auto type = weight.scalar_type();
    const auto delta = this->delta(site.base());
    if (is_dora()) {
      merged_norm_ = norm(site.unmerged_weight(safe), delta, 1).detach();
      const auto factor = spread(tensors_.magnitude / merged_norm_).detach();
      weight.set_data((factor * (weight.data() + delta)).to(type));
    } else if (safe) {
      auto merged = weight.data().clone();
      weight.set_data(merged.add_(delta.to(type)));
    } else {
      add_to(weight, kind_ == LayerKind::kEmbedding ? delta.to(type) : delta);
    }
    if (!tensors_.bias.defined()) return;
    auto bias = site.base().bias();
    if (safe) {
      bias.set_data((bias.data() + tensors_.bias.data() * scaling()).to(type));
    } else {
      add_to(bias, tensors_.bias.data() * scaling());
    }
  }

  void unmerge(MergeSite& site) override {
    auto& weight = site.base().weight();
    const auto type = weight.scalar_type();
    const auto delta = this->delta(site.base());
    if (is_dora()) {
      // The model may have moved to another device since.
      const auto norm = merged_norm_.to(tensors_.magnitude.device());
      const auto factor = spread(tensors_.magnitude / norm).detach();
      weight.set_data((weight.data() / factor - delta).to(type));
    } else {
      subtract_from(weight, delta.to(type));
    }
    if (!tensors_.bias.defined()) return;
    auto bias = site.base().bias();
    subtract_from(bias, tensors_.bias.data() * scaling());
  }

  const Tensor& a() const { return tensors_.a; }
  const Tensor& b() const { return tensors_.b; }

  void seal() override {
    if (is_dora()) start_magnitude_ = tensors_.magnitude.detach().clone();
  }

  std::string merge_obstacle(const BaseLayer& base) const override {
    if (base.groups() > 1) return "it is a convolution with groups";
    if (tensors_.bias.defined() && !base.bias().defined()) {
      return "lora_bias has no bias of the layer to go into";
    }
    return {};
  }

  /// The change of the weight, in its shape.
  Tensor delta(BaseLayer& base) const {
    auto a = tensors_.a.detach();
    auto b = tensors_.b.detach();
    const auto type = kind_ == LayerKind::kLinear ? b.scalar_type() : a.scalar_type();
    // Some CPUs have slow products of half precision.
    const bool widen = b.device().is_cpu() && (type == at::kHalf || type == at::kBFloat16);
    if (widen) a = a.to(at::kFloat), b = b.to(at::kFloat);
    Tensor change;
    if (kind_ == LayerKind::kLinear) {
      change = at::matmul(b, a) * scaling();
    } else if (kind_ == LayerKind::kEmbedding) {
      change = at::matmul(b, a).t() * scaling();
    } else if (base.kernel() == std::vector<std::int64_t>{1, 1}) {
      const auto product =
          at::matmul(b.squeeze(3).squeeze(2), a.squeeze(3).squeeze(2)).unsqueeze(2).unsqueeze(3);
      change = product * scaling();
    } else {
      const auto joint = kind_ == LayerKind::kConv1d ? at::conv1d(a.transpose(0, 1), b)
                                                     : at::conv2d(a.transpose(0, 1), b);
      change = joint.transpose(0, 1) * scaling();
    }
    return widen ? change.to(type) : change;
  }

  /// The norms of the rows of weight + factor * delta, which DoRA's magnitude starts as.
  Tensor norm(const Tensor& weight, const Tensor& delta, double factor) const {
    if (kind_ == LayerKind::kEmbedding) {
      return at::linalg_vector_norm(weight.t() + factor * delta.t(), 2, at::IntArrayRef{1});
    }
    const auto sum = weight + factor * delta;
    if (kind_ == LayerKind::kLinear) return at::linalg_vector_norm(sum, 2, at::IntArrayRef{1});
    std::vector<std::int64_t> axes;
    for (std::int64_t axis = 1; axis < sum.dim(); ++axis) axes.push_back(axis);
    return at::linalg_vector_norm(sum, 2, at::IntArrayRef(axes), true).transpose(1, 0);
  }

 protected:
  bool starts_neutral() const override { return neutral_; }
  bool is_neutral() override {
    if (!is_zero(kind_ == LayerKind::kEmbedding ? tensors_.a : tensors_.b)) return false;
    if (tensors_.bias.defined() && !is_zero(tensors_.bias)) return false;
    return !is_dora() || at::equal(start_magnitude_.to(tensors_.magnitude.options()),
                                   tensors_.magnitude.detach());
  }

 private:
  bool is_dora() const { return tensors_.magnitude.defined(); }

  Tensor plain_forward(BaseLayer& base, const Tensor& x, bool training) const {
    const bool drops = dropout_ > 0 && kind_ != LayerKind::kEmbedding;
    const auto input = drops ? at::dropout(x, dropout_, training) : x;
    return base.up(base.down(input, tensors_.a), tensors_.b, tensors_.bias) * scaling();
  }

  /// DoRA, the norm taken as a constant (section 4.3 of the paper).
  Tensor dora_forward(BaseLayer& base, const Tensor& x, const Tensor& result, bool training) const {
    const auto& weight = base.weight();
    if (kind_ == LayerKind::kEmbedding) {
      const auto delta = at::matmul(tensors_.a.t(), tensors_.b.t()).detach();
      const auto factor = tensors_.magnitude / norm(weight.detach(), delta, scaling());
      return factor * result +
             factor * base.up(base.down(x, tensors_.a), tensors_.b, {}) * scaling();
    }
    auto input = x;
    auto plain = result;
    if (dropout_ > 0 && training) {
      input = at::dropout(x, dropout_, true);
      plain = base.apply(input, kind_ == LayerKind::kLinear ? weight.to(x.scalar_type()) : weight);
    } else if (const auto bias = base.bias(); bias.defined()) {
      plain = result - (kind_ == LayerKind::kLinear ? bias : across(bias, result.dim()));
    }
    const auto factor = row_factor(weight.detach(), x.scalar_type());
    const auto change = base.up(base.down(input, tensors_.a), tensors_.b, tensors_.bias);
    return result + ((factor - 1) * plain + factor * change * scaling());
  }

  Tensor row_factor(const Tensor& weight, at::ScalarType type) const {
    if (kind_ != LayerKind::kLinear) {
      return tensors_.magnitude /
             norm(weight, joined().reshape(weight.sizes()).detach(), scaling());
    }
    // Through both halves, as PEFT does.
    const auto eye = at::eye(tensors_.a.size(1), tensors_.a.options().requires_grad(false));
    const auto change = at::linear(at::linear(eye, tensors_.a), tensors_.b).t().to(type).detach();
    return (tensors_.magnitude / norm(weight.to(type), change, scaling())).view({1, -1});
  }

  Tensor joined() const {
    const auto rank = tensors_.a.size(0);
    return at::mm(tensors_.b.view({-1, rank}), tensors_.a.view({rank, -1}));
  }

  /// One value a channel, ready to be combined with a convolution's output.
  static Tensor across(const Tensor& bias, std::int64_t dimensions) {
    std::vector<std::int64_t> view(static_cast<std::size_t>(dimensions), 1);
    view[1] = -1;
    return bias.view(view);
  }

  /// One factor a row (an output), ready to be combined with the weight.
  Tensor spread(const Tensor& factor) const {
    if (kind_ == LayerKind::kEmbedding) return factor.view({1, -1});
    if (kind_ == LayerKind::kLinear) return factor.view({-1, 1});
    std::vector<std::int64_t> view(kind_ == LayerKind::kConv1d ? 3 : 4, 1);
    view[0] = -1;
    return factor.view(view);
  }

  LayerKind kind_;
  Tensors tensors_;
  double dropout_;
  bool neutral_;
  Tensor merged_norm_;
  Tensor start_magnitude_;
};

}  // namespace ferrule::libtorch::detail
