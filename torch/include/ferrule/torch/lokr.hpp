// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "ferrule/torch/update.hpp"

namespace ferrule::libtorch::detail {

/// LoKr: the Kronecker product of a small matrix and a larger one, either of them low-rank or
/// whole.
class LokrUpdate final : public WeightUpdate {
 public:
  /// Defined are w1 or its two factors, and w2 or its two factors and, for kernels, t2.
  struct Tensors {
    Tensor w1 = {}, w1_a = {}, w1_b = {};
    Tensor w2 = {}, w2_a = {}, w2_b = {}, t2 = {};
  };

  LokrUpdate(UpdateSettings settings, Tensors tensors, bool neutral)
      : WeightUpdate(std::move(settings)), tensors_(std::move(tensors)), neutral_(neutral) {}

  std::vector<Slot> slots() override {
    std::vector<Slot> slots;
    const auto add = [&slots](const char* attribute, Tensor& tensor) {
      if (tensor.defined()) slots.push_back({attribute, "", &tensor});
    };
    add("lokr_w1", tensors_.w1);
    add("lokr_w1_a", tensors_.w1_a);
    add("lokr_w1_b", tensors_.w1_b);
    add("lokr_w2", tensors_.w2);
    add("lokr_w2_a", tensors_.w2_a);
    add("lokr_w2_b", tensors_.w2_b);
    add("lokr_t2", tensors_.t2);
    return slots;
  }

 protected:
  Tensor delta(BaseLayer& base, bool rank_dropout) override {
    const auto& t = tensors_;
    auto first = t.w1.defined() ? t.w1 : at::matmul(t.w1_a, t.w1_b);
    Tensor second = t.w2;
    if (t.t2.defined()) {
      second = at::einsum("ijkl,ip,jr->prkl", {t.t2, t.w2_a, t.w2_b});
    } else if (!second.defined()) {
      second = at::matmul(t.w2_a, t.w2_b);
    }
    if (second.dim() == 4) first = first.unsqueeze(2).unsqueeze(2);
    auto weight = at::kron(first, second.contiguous()) * scaling();
    weight = weight.reshape(base.weight().sizes());
    if (rank_dropout) {
      auto kept = kept_rows(weight);
      if (config()->flag("rank_dropout_scale")) kept = kept / kept.mean();
      weight = weight * kept;
    }
    return weight;
  }

  bool starts_neutral() const override { return neutral_; }
  bool is_neutral() override {
    const auto& t = tensors_;
    for (const auto* factor : {&t.w1, &t.w1_a, &t.w2, &t.w2_b}) {
      if (factor->defined() && is_zero(*factor)) return true;
    }
    return false;
  }

 private:
  Tensors tensors_;
  bool neutral_;
};

/// Two factors of `dimension`, the smaller first: as near to `factor` as its divisors allow, or as
/// near to each other if it is -1.
inline std::pair<std::int64_t, std::int64_t> factorize(std::int64_t dimension,
                                                       std::int64_t factor) {
  if (factor > 0 && dimension % factor == 0) return {factor, dimension / factor};
  if (factor == -1) factor = dimension;
  std::int64_t small = 1;
  std::int64_t large = dimension;
  const auto length = small + large;
  while (small < large) {
    auto next = small + 1;
    while (dimension % next != 0) ++next;
    if (next + dimension / next > length || next > factor) break;
    small = next;
    large = dimension / next;
  }
  if (small > large) std::swap(small, large);
  return {small, large};
}

}  // namespace ferrule::libtorch::detail
