// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ferrule/torch/ia3.hpp"
#include "ferrule/torch/loha.hpp"
#include "ferrule/torch/lokr.hpp"
#include "ferrule/torch/lora_init.hpp"
#include "ferrule/torch/oft.hpp"
#include "ferrule/torch/tokens.hpp"
#include "ferrule/torch/vera.hpp"

namespace ferrule::libtorch::detail {

inline PreparedUpdate make_ia3(UpdateSettings settings, BaseLayer& base) {
  const bool forward = settings.feedforward;
  const auto features = forward ? base.in_features() : base.out_features();
  std::vector<std::int64_t> sizes = {1, features};
  if (base.kind() == LayerKind::kLinear) {
    if (!forward) sizes = {features, 1};
  } else {
    sizes.resize(static_cast<std::size_t>(base.weight().dim()), 1);
  }
  auto factors = at::randn(sizes);
  const bool neutral = settings.config->flag("init_ia3_weights", true);
  if (neutral) factors.fill_(1.0);
  factors = factors.to(base.weight().detach().options());
  return {.update = std::make_unique<Ia3Update>(std::move(settings), base.kind(),
                                                std::move(factors), neutral)};
}

/// The sizes of a kernel as LoHa and LoKr see it: none for a linear layer, and none that matter for
/// a kernel of one point.
inline bool has_effective_kernel(const AdapterConfig& config, const BaseLayer& base) {
  const auto kernel = base.kernel();
  return config.flag("use_effective_conv2d") &&
         std::any_of(kernel.begin(), kernel.end(), [](std::int64_t n) { return n != 1; });
}

inline PreparedUpdate make_loha(UpdateSettings settings, BaseLayer& base) {
  const auto rank = settings.rank;
  const auto sizes = base.weight().sizes();
  LohaUpdate::Tensors t;
  std::vector<std::int64_t> core;
  std::int64_t inputs = sizes[1];
  if (has_effective_kernel(*settings.config, base)) {
    core = {rank, rank, sizes[2], base.kind() == LayerKind::kConv2d ? sizes[3] : 1};
    t.w1_a = t.w2_a = at::empty({rank, sizes[0]});
  } else {
    for (const auto extent : base.kernel()) inputs *= extent;
    t.w1_a = t.w2_a = at::empty({sizes[0], rank});
  }
  const bool neutral = settings.config->flag("init_weights", true);
  t.w1_a = kaiming(t.w1_a.sizes());
  t.w1_b = kaiming({rank, inputs});
  t.w2_a = kaiming(t.w2_a.sizes());
  t.w2_b = neutral ? at::zeros({rank, inputs}) : kaiming({rank, inputs});
  if (!core.empty()) {
    t.t1 = kaiming(core);
    t.t2 = kaiming(core);
  }
  const auto options = base.weight().detach().options();
  for (auto* tensor : {&t.w1_a, &t.w1_b, &t.w2_a, &t.w2_b, &t.t1, &t.t2}) {
    if (tensor->defined()) *tensor = tensor->to(options);
  }
  return {.update = std::make_unique<LohaUpdate>(std::move(settings), std::move(t), neutral)};
}

/// What `init_weights` of LoKr asks for.
enum class LokrInit : std::uint8_t { kZeroFirst, kZeroSecond, kRandom };

inline LokrInit lokr_init(const AdapterConfig& config) {
  if (config.text("init_weights") == "lycoris") return LokrInit::kZeroSecond;
  return config.flag("init_weights", true) ? LokrInit::kZeroFirst : LokrInit::kRandom;
}

inline PreparedUpdate make_lokr(UpdateSettings settings, BaseLayer& base) {
  const auto& config = *settings.config;
  const auto rank = settings.rank;
  const auto factor = config.integer("decompose_factor").value_or(-1);
  const auto [in_m, in_n] = factorize(base.weight().size(1), factor);
  const auto [out_l, out_k] = factorize(base.out_features(), factor);
  const bool whole_first = !(config.flag("decompose_both") && 2 * rank < std::max(out_l, in_m));
  const bool whole_second = 2 * rank >= std::max(out_k, in_n);
  const auto kernel = base.kernel();
  const auto init = lokr_init(config);
  const auto zero_or = [](bool zero, std::vector<std::int64_t> sizes) {
    return zero ? at::zeros(sizes) : kaiming(sizes);
  };
  LokrUpdate::Tensors t;
  const bool zero_first = init == LokrInit::kZeroFirst;
  if (whole_first) {
    t.w1 = zero_or(zero_first, {out_l, in_m});
  } else {
    t.w1_a = zero_or(zero_first, {out_l, rank});
    t.w1_b = kaiming({rank, in_m});
  }
  const bool zero_second = init == LokrInit::kZeroSecond;
  std::vector<std::int64_t> core;
  std::vector<std::int64_t> a_sizes = {out_k, rank};
  std::vector<std::int64_t> b_sizes = {rank, in_n};
  if (whole_second) {
    std::vector<std::int64_t> sizes = {out_k, in_n};
    sizes.insert(sizes.end(), kernel.begin(), kernel.end());
    t.w2 = zero_or(zero_second, sizes);
  } else if (has_effective_kernel(config, base)) {
    core = {rank, rank, kernel[0], kernel.size() > 1 ? kernel[1] : 1};
    a_sizes = {rank, out_k};
  } else {
    for (const auto extent : kernel) b_sizes[1] *= extent;
  }
  if (!whole_second) {
    // Of PEFT's two initializations one draws B first.
    if (zero_second) t.w2_b = at::zeros(b_sizes);
    t.w2_a = kaiming(a_sizes);
    if (!zero_second) t.w2_b = kaiming(b_sizes);
    if (!core.empty()) t.t2 = kaiming(core);
  }
  const auto options = base.weight().detach().options();
  for (auto* tensor : {&t.w1, &t.w1_a, &t.w1_b, &t.w2, &t.w2_a, &t.w2_b, &t.t2}) {
    if (tensor->defined()) *tensor = tensor->to(options);
  }
  return {.update = std::make_unique<LokrUpdate>(std::move(settings), std::move(t),
                                                 init != LokrInit::kRandom)};
}

/// True if PEFT has a layer of that method for that kind of module.
inline bool method_takes(std::string_view method, LayerKind kind) noexcept {
  if (method == "LORA") return true;
  if (method == "VERA") return kind == LayerKind::kLinear;
  if (method == "OFT") return kind != LayerKind::kConv1d;
  if (method == "TRAINABLE_TOKENS") {
    return kind == LayerKind::kEmbedding || kind == LayerKind::kLinear;
  }
  if (method == "IA3") return kind == LayerKind::kLinear || kind == LayerKind::kConv2d;
  return kind != LayerKind::kEmbedding;
}

/// Why that layer cannot have that update; empty if it can.
inline std::string update_obstacle(const UpdateSettings& settings, const BaseLayer& base) {
  const auto& config = *settings.config;
  if (config.peft_type() == "IA3") return {};
  if (config.peft_type() == "OFT") return oft_obstacle(config, base);
  if (config.peft_type() == "TRAINABLE_TOKENS") {
    const auto* indices = config.find("token_indices");
    return tokens_obstacle(indices == nullptr ? std::nullopt : token_indices(*indices), base);
  }
  if (settings.rank <= 0) return "its rank is " + std::to_string(settings.rank);
  if (config.peft_type() != "LORA") return {};
  if (settings.rank % base.groups() != 0) {
    return "its rank, " + std::to_string(settings.rank) + ", is not a multiple of its " +
           std::to_string(base.groups()) + " groups";
  }
  if (base.groups() > 1 && config.use_dora()) return "DoRA does not take convolutions with groups";
  if (base.kind() == LayerKind::kEmbedding && config.flag("lora_bias")) {
    return "lora_bias is not for embeddings";
  }
  return lora_init_obstacle(lora_init_word(config), base, settings.rank);
}

/// A new update for a layer, of a method and for a kind that method_takes() allows. `shared` is
/// what VeRA's layers share.
inline PreparedUpdate make_update(UpdateSettings settings, BaseLayer& base,
                                  const VeraProjections& shared) {
  const ::torch::NoGradGuard no_grad;
  const auto& method = settings.config->peft_type();
  if (method == "IA3") return make_ia3(std::move(settings), base);
  if (method == "OFT") return make_oft(std::move(settings), base);
  if (method == "VERA") return make_vera(std::move(settings), base, shared);
  if (method == "TRAINABLE_TOKENS") {
    auto indices = token_indices(*settings.config->find("token_indices"));
    return make_tokens(std::move(settings), base, {}, *std::move(indices));
  }
  if (method == "LOHA") return make_loha(std::move(settings), base);
  if (method == "LOKR") return make_lokr(std::move(settings), base);
  return make_lora(std::move(settings), base);
}

}  // namespace ferrule::libtorch::detail
