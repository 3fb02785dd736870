// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>
#include <vector>

#include "ferrule/torch/update.hpp"

namespace ferrule::libtorch::detail {

/// LoHa: the product, element by element, of two low-rank products.
class LohaUpdate final : public WeightUpdate {
 public:
  struct Tensors {
    Tensor w1_a, w1_b, w2_a, w2_b;
    /// The kernel's part if use_effective_conv2d is on; undefined otherwise.
    Tensor t1 = {}, t2 = {};
  };

  LohaUpdate(UpdateSettings settings, Tensors tensors, bool neutral)
      : WeightUpdate(std::move(settings)), tensors_(std::move(tensors)), neutral_(neutral) {}

  std::vector<Slot> slots() override {
    std::vector<Slot> slots = {{"hada_w1_a", "", &tensors_.w1_a},
                               {"hada_w1_b", "", &tensors_.w1_b},
                               {"hada_w2_a", "", &tensors_.w2_a},
                               {"hada_w2_b", "", &tensors_.w2_b}};
    if (tensors_.t1.defined()) {
      slots.push_back({"hada_t1", "", &tensors_.t1});
      slots.push_back({"hada_t2", "", &tensors_.t2});
    }
    return slots;
  }

 protected:
  Tensor delta(BaseLayer& base, bool rank_dropout) override {
    const auto& t = tensors_;
    const auto first = t.t1.defined() ? rebuild(t.t1, t.w1_a, t.w1_b) : at::matmul(t.w1_a, t.w1_b);
    const auto second = t.t2.defined() ? rebuild(t.t2, t.w2_a, t.w2_b) : at::matmul(t.w2_a, t.w2_b);
    auto weight = (first * second * scaling()).reshape(base.weight().sizes());
    if (rank_dropout) {
      const auto kept = kept_rows(weight);
      weight = weight * (kept / kept.mean());
    }
    return weight;
  }

  bool starts_neutral() const override { return neutral_; }
  bool is_neutral() override { return is_zero(tensors_.w2_b); }

 private:
  static Tensor rebuild(const Tensor& t, const Tensor& a, const Tensor& b) {
    return at::einsum("ijkl,jr,ip->prkl", {t, b, a});
  }

  Tensors tensors_;
  bool neutral_;
};

}  // namespace ferrule::libtorch::detail
