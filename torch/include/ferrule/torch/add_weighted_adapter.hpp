// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ferrule/torch/add_report.hpp"
#include "ferrule/torch/editing.hpp"

namespace ferrule::libtorch {

/// How adapters are added up, by PEFT's names.
enum class CombinationType : std::uint8_t {
  /// The best approximation of the sum of the updates that has the rank.
  kSvd,
  /// A and B separately: an approximation with cross terms, for equal ranks.
  kLinear,
  /// Exact: the ranks add up.
  kCat,
};

struct WeightedOptions {
  CombinationType combination_type = CombinationType::kSvd;
  /// For kSvd; without it the largest rank of the adapters.
  std::optional<std::int64_t> svd_rank = {};
};

namespace detail {

/// One adapter's part in one layer of a sum.
struct Summand {
  LoraUpdate* update;
  double weight;
};

inline void add_up_linearly(const std::vector<Summand>& summands, Tensor& a, Tensor& b) {
  a.zero_();
  b.zero_();
  for (const auto& [update, weight] : summands) {
    const auto factor = weight * update->scaling();
    const auto root = std::sqrt(std::abs(factor));
    a.add_(update->a().detach(), factor < 0 ? -root : root);
    b.add_(update->b().detach(), root);
  }
}

inline void concatenate(const std::vector<Summand>& summands, Tensor& a, Tensor& b) {
  a.zero_();
  b.zero_();
  std::int64_t start = 0;
  for (const auto& [update, weight] : summands) {
    const auto rank = update->a().size(0);
    a.slice(0, start, start + rank).copy_(update->a().detach() * weight * update->scaling());
    b.slice(1, start, start + rank).copy_(update->b().detach());
    start += rank;
  }
}

inline void approximate(const std::vector<Summand>& summands, BaseLayer& base, Tensor& a,
                        Tensor& b) {
  Tensor sum;
  for (const auto& [update, weight] : summands) {
    const auto change = update->delta(base).to(at::kFloat) * weight;
    sum = sum.defined() ? sum + change : change;
  }
  sum = base.kind() == LayerKind::kEmbedding ? sum.t() : sum.flatten(1);
  const auto [left, values, right] = at::linalg_svd(sum, false);
  const auto rank = std::min(a.size(0), values.size(0));
  const auto kept = values.slice(0, 0, rank);
  a.zero_();
  b.zero_();
  auto rows = a.slice(0, 0, rank);
  rows.copy_(right.slice(0, 0, rank).reshape(rows.sizes()));
  auto columns = b.slice(1, 0, rank);
  columns.copy_((left.slice(1, 0, rank) * kept).reshape(columns.sizes()));
}

inline Error cannot_add_up(std::string message) {
  return refuse(ErrorCode::kInvalidArgument, "LT-16", std::move(message));
}

/// The largest rank that each adapter has in a layer.
inline std::vector<std::int64_t> ranks_of(const Places& places,
                                          const std::vector<std::string>& names) {
  std::vector<std::int64_t> ranks(names.size(), 0);
  for (const auto& place : places) {
    if (place.adaptable == nullptr) continue;
    for (std::size_t i = 0; i < names.size(); ++i) {
      auto* update = dynamic_cast<LoraUpdate*>(AdaptableAccess(*place.adaptable).find(names[i]));
      if (update != nullptr) ranks[i] = std::max(ranks[i], update->a().size(0));
    }
  }
  return ranks;
}

inline Result<void> check_summands(const Adapters& adapters, const Places& places,
                                   const std::vector<std::string>& names,
                                   const std::vector<double>& weights) {
  if (names.empty()) return cannot_add_up("there is no adapter to add up");
  if (names.size() != weights.size()) {
    return cannot_add_up(std::to_string(names.size()) + " adapters need as many weights, not " +
                         std::to_string(weights.size()));
  }
  if (auto known = check_known(adapters, names); !known) return known;
  for (const auto weight : weights) {
    if (!std::isfinite(weight)) return cannot_add_up("a weight must be finite");
  }
  for (const auto& name : names) {
    const auto& config = *adapters.configs.find(name)->second;
    if (config.peft_type() != "LORA") {
      return cannot_add_up("adapter " + quote(name) + " is of type " + config.peft_type() +
                           ": only LORA can be added up");
    }
    if (config.use_dora() || config.flag("lora_bias")) {
      return cannot_add_up("adapter " + quote(name) + " has use_dora or lora_bias set");
    }
  }
  for (const auto& place : places) {
    if (place.adaptable == nullptr || !place.adaptable->is_changed()) continue;
    if (auto copy = copy_for(place, names); !copy) return std::move(copy).error();
    if (place.adaptable->is_adapted() &&
        AdaptableAccess(*place.adaptable).base_layer()->groups() > 1) {
      return cannot_add_up("module " + quote(place.path) + " is a convolution with groups");
    }
  }
  return {};
}

/// The config of the sum: all targeted modules, one rank, strength 1.
inline Result<AdapterConfig> config_of_sum(const Adapters& adapters, const Places& places,
                                           const std::vector<std::string>& names,
                                           std::int64_t rank) {
  AdapterConfig config = *adapters.configs.find(names.front())->second;
  Json::Array targets;
  for (const auto& place : places) {
    if (place.adaptable == nullptr) continue;
    const AdaptableAccess access(*place.adaptable);
    const bool is_one = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      return dynamic_cast<LoraUpdate*>(access.find(name)) != nullptr;
    });
    if (is_one) targets.emplace_back(place.path);
  }
  const std::pair<const char*, Json> fields[] = {{"target_modules", std::move(targets)},
                                                 {"r", rank},
                                                 {"lora_alpha", rank},
                                                 {"rank_pattern", Json::Object{}},
                                                 {"alpha_pattern", Json::Object{}},
                                                 {"use_rslora", false},
                                                 {"init_lora_weights", true},
                                                 {"modules_to_save", Json()},
                                                 {"exclude_modules", Json()},
                                                 {"layers_to_transform", Json()},
                                                 {"layers_pattern", Json()},
                                                 {"trainable_token_indices", Json()},
                                                 {"bias", "none"}};
  for (const auto& [field, value] : fields) {
    if (auto ok = config.set(field, value); !ok) return std::move(ok).error();
  }
  return config;
}

}  // namespace detail

/// Adds a new adapter that is the weighted sum of others, as PEFT's method of that name does; it
/// waits for set_adapter(). Only the updates are added up, not what modules_to_save trained.
/// Fails, with the model as it was, with kInvalidArgument: LT-5, LT-8, LT-16. For ties, dare and
/// magnitude pruning save the adapters and use ferrule::combine.
inline Result<AddReport> add_weighted_adapter(const ModelRef& model,
                                              const std::vector<std::string>& names,
                                              const std::vector<double>& weights,
                                              const std::string& new_name,
                                              const WeightedOptions& options = {}) {
  return detail::guarded(model, [&]() -> Result<AddReport> {
    const auto places = detail::places_of(model);
    const auto adapters = detail::adapters_of(places);
    if (auto ok = detail::check_summands(adapters, places, names, weights); !ok) {
      return std::move(ok).error();
    }
    const auto ranks = detail::ranks_of(places, names);
    auto type = options.combination_type;
    // One adapter needs no approximation.
    if (names.size() == 1) type = CombinationType::kLinear;
    auto rank = *std::max_element(ranks.begin(), ranks.end());
    if (type == CombinationType::kLinear && *std::min_element(ranks.begin(), ranks.end()) != rank) {
      return detail::cannot_add_up("a linear combination needs adapters of one rank");
    }
    if (type == CombinationType::kCat) {
      rank = 0;
      for (const auto one : ranks) rank += one;
    } else if (type == CombinationType::kSvd) {
      rank = options.svd_rank.value_or(rank);
      if (rank < 1) return detail::cannot_add_up("svd_rank must be positive");
    }
    auto config = detail::config_of_sum(adapters, places, names, rank);
    if (!config) return std::move(config).error();
    auto plan =
        detail::Planner(places, new_name, *std::move(config), {.purpose = detail::Purpose::kLoad})
            .run();
    if (!plan) return std::move(plan).error();
    const ::torch::NoGradGuard no_grad;
    for (auto& item : plan->items) {
      const AdaptableAccess access(*item.place);
      std::vector<detail::Summand> summands;
      for (std::size_t i = 0; i < names.size(); ++i) {
        auto* update = dynamic_cast<detail::LoraUpdate*>(access.find(names[i]));
        if (update != nullptr) summands.push_back({update, weights[i]});
      }
      auto& sum = dynamic_cast<detail::LoraUpdate&>(*item.prepared.update);
      auto a = sum.a();
      auto b = sum.b();
      if (type == CombinationType::kCat) {
        detail::concatenate(summands, a, b);
      } else if (type == CombinationType::kLinear) {
        detail::add_up_linearly(summands, a, b);
      } else {
        detail::approximate(summands, *access.base_layer(), a, b);
      }
      sum.mark_loaded();
    }
    auto report = detail::summarize(*plan);
    detail::commit(*std::move(plan), model.module(), false);
    return report;
  });
}

}  // namespace ferrule::libtorch
