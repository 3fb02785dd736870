// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "ferrule/torch/lora.hpp"

namespace ferrule::libtorch::detail {

/// `init_lora_weights` as a word: "true", "false", or the text. The draws and their order are those
/// of PEFT's layers, so that one seed gives one adapter in both.
inline std::string lora_init_word(const AdapterConfig& config) {
  const auto* value = config.find("init_lora_weights");
  if (value == nullptr) return "true";
  if (const auto* text = value->if_string()) return *text;
  const auto* flag = value->if_bool();
  return flag == nullptr || *flag ? "true" : "false";
}

/// The iterations of "pissa_niter_N", or nullopt for other words.
inline std::optional<std::int64_t> pissa_iterations(const std::string& word) {
  const std::string prefix = "pissa_niter_";
  if (!word.starts_with(prefix) || word.size() > prefix.size() + 4) return std::nullopt;
  std::int64_t value = 0;
  for (const char digit : word.substr(prefix.size())) {
    if (digit < '0' || digit > '9') return std::nullopt;
    value = value * 10 + (digit - '0');
  }
  return word.size() == prefix.size() ? std::nullopt : std::optional(value);
}

/// Halko's randomised SVD, as torch.svd_lowrank.
inline std::tuple<Tensor, Tensor, Tensor> svd_lowrank(const Tensor& matrix, std::int64_t rank,
                                                      std::int64_t iterations) {
  const bool wide = matrix.size(0) < matrix.size(1);
  const auto a = wide ? matrix.mH() : matrix;
  const auto q_of = [](const Tensor& x) { return std::get<0>(at::linalg_qr(x)); };
  auto q = q_of(at::matmul(a, at::randn({a.size(1), rank}, a.options())));
  for (std::int64_t i = 0; i < iterations; ++i) {
    q = q_of(at::matmul(a.mH(), q));
    q = q_of(at::matmul(a, q));
  }
  auto [u, s, vh] = at::linalg_svd(at::matmul(q.mH(), a), false);
  auto left = q.matmul(u);
  auto right = vh.mH();
  if (wide) std::swap(left, right);
  return {left, s, right};
}

/// The weight that PiSSA or OLoRA leaves in the base, A and B holding its principal part.
inline Tensor initialize_from_weight(const std::string& word, const Tensor& base_weight,
                                     std::int64_t rank, double scaling,
                                     LoraUpdate::Tensors& tensors) {
  const auto weight = base_weight.to(at::kFloat);
  if (word == "olora") {
    const auto [q, r] = at::linalg_qr(weight);
    tensors.a = r.slice(0, 0, rank).contiguous();
    tensors.b = q.slice(1, 0, rank).contiguous();
    return (weight - at::matmul(scaling * tensors.b, tensors.a)).to(base_weight.scalar_type());
  }
  Tensor left, values, right;
  if (const auto iterations = pissa_iterations(word)) {
    Tensor v;
    std::tie(left, values, v) = svd_lowrank(weight, rank, *iterations);
    right = v.t();
  } else {
    std::tie(left, values, right) = at::linalg_svd(weight, false);
    left = left.slice(1, 0, rank);
    values = values.slice(0, 0, rank);
    right = right.slice(0, 0, rank);
  }
  const auto root = at::diag(at::sqrt(values / scaling));
  tensors.a = at::matmul(root, right);
  tensors.b = at::matmul(left, root);
  const auto residue = weight - at::matmul(scaling * tensors.b, tensors.a);
  return residue.to(base_weight.scalar_type());
}

inline void initialize_orthogonally(const BaseLayer& base, std::int64_t rank,
                                    LoraUpdate::Tensors& tensors) {
  const auto q = std::get<0>(at::linalg_qr(at::randn({rank, rank})));
  const auto odd = q.slice(0, 0, q.size(0), 2);
  const auto even = q.slice(0, 1, q.size(0), 2);
  tensors.a = (at::mm(at::randn({base.in_features(), rank / 2}), odd).t() / 10.0).contiguous();
  tensors.b = (at::mm(at::randn({rank / 2, base.out_features()}).t(), even) / 10.0).contiguous();
}

/// A, B and the bias as torch's own layers start.
inline LoraUpdate::Tensors draw_lora(BaseLayer& base, std::int64_t rank, bool with_bias) {
  if (base.kind() == LayerKind::kEmbedding) {
    auto a = at::randn({rank, base.in_features()});
    return {.a = std::move(a), .b = at::randn({base.out_features(), rank})};
  }
  std::vector<std::int64_t> a_sizes = {rank, base.in_features()};
  std::vector<std::int64_t> b_sizes = {base.out_features(), rank / base.groups()};
  for (const auto extent : base.kernel()) {
    a_sizes.push_back(extent);
    b_sizes.push_back(1);
  }
  auto a = kaiming(a_sizes);
  LoraUpdate::Tensors tensors{.a = std::move(a), .b = kaiming(b_sizes)};
  if (with_bias) {
    const double bound = 1 / std::sqrt(static_cast<double>(b_sizes[1]));
    tensors.bias = at::empty({base.out_features()}).uniform_(-bound, bound);
  }
  return tensors;
}

/// Why the word cannot be used for that layer; empty if it can.
inline std::string lora_init_obstacle(const std::string& word, const BaseLayer& base,
                                      std::int64_t rank) {
  if (base.kind() == LayerKind::kEmbedding) return {};
  const bool plain =
      word == "true" || word == "false" || word == "gaussian" || word == "eva" || word == "lora_ga";
  if (plain) return {};
  if (base.kind() != LayerKind::kLinear) {
    return "init_lora_weights " + quote(word) + " is for linear layers";
  }
  if (word == "orthogonal" && rank % 2 != 0) {
    return "init_lora_weights \"orthogonal\" needs an even rank, not " + std::to_string(rank);
  }
  if (word == "orthogonal") return {};
  const auto most = std::min(base.in_features(), base.out_features());
  if (rank > most) {
    return "init_lora_weights " + quote(word) + " needs a rank of at most " + std::to_string(most) +
           ", not " + std::to_string(rank);
  }
  return {};
}

inline void reset_lora(const std::string& word, LayerKind kind, std::int64_t rank,
                       LoraUpdate::Tensors& tensors) {
  if (kind == LayerKind::kEmbedding) {
    tensors.a.zero_();
    tensors.b.normal_();
    return;
  }
  if (word == "gaussian") {
    tensors.a.normal_(0, 1 / static_cast<double>(rank));
  } else if (word != "eva") {
    ::torch::nn::init::kaiming_uniform_(tensors.a, std::sqrt(5.0));
  }
  tensors.b.zero_();
  if (tensors.bias.defined() && word != "eva") tensors.bias.zero_();
}

/// A new LoRA for a layer, initialized as the config says and in the dtype of the layer.
inline PreparedUpdate make_lora(UpdateSettings settings, BaseLayer& base) {
  const auto& config = *settings.config;
  const auto word = lora_init_word(config);
  const auto rank = settings.rank;
  const auto kind = base.kind();
  const auto weight = base.weight().detach();
  auto tensors = draw_lora(base, rank, config.flag("lora_bias"));
  PreparedUpdate prepared;
  const bool linear = kind == LayerKind::kLinear;
  const bool from_weight = linear && (word == "olora" || word.starts_with("pissa"));
  if (from_weight) {
    prepared.new_weight = initialize_from_weight(word, weight, rank, settings.scaling, tensors);
  } else if (linear && word == "orthogonal") {
    initialize_orthogonally(base, rank, tensors);
  } else if (word != "false") {
    reset_lora(word, kind, rank, tensors);
  }
  const auto options = weight.options();
  tensors.a = tensors.a.to(options);
  tensors.b = tensors.b.to(options);
  if (tensors.bias.defined()) tensors.bias = tensors.bias.to(options);
  const bool neutral = word != "false" && !from_weight && !(linear && word == "orthogonal");
  const auto scaling = settings.scaling;
  auto magnitude_of = [&](const LoraUpdate& update) {
    // float16 can cause trouble on CPUs.
    const auto type = weight.scalar_type() == at::kHalf ? at::kFloat : weight.scalar_type();
    const auto a = tensors.a.to(type);
    const auto b = tensors.b.to(type);
    auto change = kind == LayerKind::kLinear || kind == LayerKind::kEmbedding
                      ? at::matmul(b, a)
                      : at::mm(b.view({-1, rank}), a.view({rank, -1})).reshape(weight.sizes());
    change = change.to(weight.scalar_type());
    const auto& current = prepared.new_weight.defined() ? prepared.new_weight : weight;
    return update.norm(current, kind == LayerKind::kEmbedding ? change.t() : change, scaling)
        .contiguous();
  };
  const bool dora = config.use_dora();
  auto plain = std::make_unique<LoraUpdate>(settings, kind, tensors, neutral);
  if (dora) {
    tensors.magnitude = magnitude_of(*plain);
    plain = std::make_unique<LoraUpdate>(std::move(settings), kind, std::move(tensors), neutral);
  }
  prepared.update = std::move(plain);
  return prepared;
}

}  // namespace ferrule::libtorch::detail
