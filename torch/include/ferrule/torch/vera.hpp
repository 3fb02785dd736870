// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "ferrule/torch/update.hpp"

namespace ferrule::libtorch::detail {

/// The random matrices of VeRA, which all modules of an adapter share: [r, in] and [out, r], as
/// large as the largest of them needs.
struct VeraProjections {
  Tensor a, b;
};

/// VeRA's projections are drawn from the config's own seed, not from the program's generator.
inline VeraProjections draw_projections(const AdapterConfig& config, std::int64_t rank,
                                        std::int64_t in, std::int64_t out) {
  const auto seed = static_cast<std::uint64_t>(config.integer("projection_prng_key").value_or(0));
  auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  const auto draw = [&generator](std::int64_t rows, std::int64_t columns) {
    const double bound =
        std::sqrt(3.0) * (std::sqrt(2.0) / std::sqrt(static_cast<double>(columns)));
    return at::empty({rows, columns}).uniform_(-bound, bound, generator);
  };
  auto a = draw(rank, in);
  return {.a = std::move(a), .b = draw(out, rank)};
}

/// VeRA: two learned vectors between fixed random matrices.
class VeraUpdate final : public WeightUpdate {
 public:
  VeraUpdate(UpdateSettings settings, Tensor lambda_b, Tensor lambda_d, VeraProjections shared,
             bool neutral)
      : WeightUpdate(std::move(settings)),
        lambda_b_(std::move(lambda_b)),
        lambda_d_(std::move(lambda_d)),
        shared_(std::move(shared)),
        dropout_(number("vera_dropout")),
        neutral_(neutral) {}

  std::vector<Slot> slots() override {
    return {{"vera_lambda_b", "", &lambda_b_},
            {"vera_lambda_d", "", &lambda_d_},
            {"vera_A", "", &shared_.a, true},
            {"vera_B", "", &shared_.b, true}};
  }
  bool has_scaling() const override { return false; }
  const VeraProjections* projections() const override { return &shared_; }

  Tensor forward_all(BaseLayer& base, const Tensor& x, std::span<Update* const> active,
                     bool training) override {
    auto result = base.forward(x);
    const auto type = result.scalar_type();
    auto input = x;
    for (auto* update : active) {
      const auto& self = static_cast<VeraUpdate&>(*update);
      const auto [a, b] = self.cut(base);
      input = input.to(self.lambda_d_.scalar_type());
      const auto kept = self.dropout_ > 0 ? at::dropout(input, self.dropout_, training) : input;
      result = result + self.lambda_b_ * at::linear(self.lambda_d_ * at::linear(kept, a), b);
    }
    return result.to(type).to(x.scalar_type());
  }

 protected:
  Tensor delta(BaseLayer& base, bool) override {
    auto [a, b] = cut(base);
    auto lambda_b = lambda_b_.detach();
    auto lambda_d = lambda_d_.detach();
    const auto type = b.scalar_type();
    // Some CPUs have slow products of half precision.
    const bool widen = b.device().is_cpu() && (type == at::kHalf || type == at::kBFloat16);
    for (auto* tensor : {&a, &b, &lambda_b, &lambda_d}) {
      if (widen) *tensor = tensor->to(at::kFloat);
    }
    const auto change = at::matmul(lambda_b.unsqueeze(-1) * b, lambda_d.unsqueeze(-1) * a);
    return widen ? change.to(type) : change;
  }

  bool starts_neutral() const override { return neutral_; }
  bool is_neutral() override { return is_zero(lambda_b_); }

 private:
  VeraProjections cut(const BaseLayer& base) const {
    return {.a = shared_.a.slice(1, 0, base.in_features()),
            .b = shared_.b.slice(0, 0, base.out_features())};
  }

  Tensor lambda_b_, lambda_d_;
  VeraProjections shared_;
  double dropout_;
  bool neutral_;
};

inline PreparedUpdate make_vera(UpdateSettings settings, BaseLayer& base,
                                const VeraProjections& shared) {
  const auto& config = *settings.config;
  auto lambda_b = at::ones({base.out_features()});
  auto lambda_d = at::randn({settings.rank});
  const bool neutral = config.flag("init_weights", true);
  if (neutral) {
    lambda_d.fill_(config.number("d_initial").value_or(0.1));
    lambda_b.zero_();
  }
  const auto options = base.weight().detach().options();
  return {.update = std::make_unique<VeraUpdate>(std::move(settings), lambda_b.to(options),
                                                 lambda_d.to(options), shared, neutral)};
}

}  // namespace ferrule::libtorch::detail
