// SPDX-License-Identifier: Apache-2.0
#include "factor/lora_config.hpp"

#include <cmath>
#include <map>
#include <string_view>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "peft/exact_pattern.hpp"
#include "peft/strength.hpp"

namespace ferrule::factor {
namespace {

using Pair = std::pair<std::uint64_t, double>;

Pair commonest(std::span<const ModuleRank> modules) {
  std::map<Pair, std::size_t> counts;
  for (const auto& module : modules) ++counts[{module.rank, module.alpha}];
  Pair best = {1, 1.0};
  std::size_t most = 0;
  for (const auto& [pair, count] : counts) {
    if (count >= most) best = pair, most = count;
  }
  return best;
}

Json number(double value) {
  constexpr double kLargestExact = 0x1p53;
  if (value == std::floor(value) && std::abs(value) < kLargestExact) {
    return Json(static_cast<std::int64_t>(value));
  }
  return Json(value);
}

Result<void> set_patterns(AdapterConfig& config, std::span<const ModuleRank> modules,
                          const Pair& common, bool escaped) {
  std::map<std::string, std::pair<const ModuleRank*, const ModuleRank*>> entries;
  for (const auto& module : modules) {
    if (module.rank == common.first && module.alpha == common.second) continue;
    const auto path = peft::pattern_paths(config, module.path).front();
    auto& entry = entries[escaped ? peft::exact_pattern(path) : path];
    if (module.rank != common.first) entry.first = &module;
    if (module.alpha != common.second) entry.second = &module;
  }
  Json::Object ranks, alphas;
  for (const auto& [path, entry] : entries) {
    if (entry.first != nullptr) ranks.emplace_back(path, Json(entry.first->rank));
    if (entry.second != nullptr) alphas.emplace_back(path, number(entry.second->alpha));
  }
  FERRULE_CHECK(config.set("rank_pattern", std::move(ranks)));
  return config.set("alpha_pattern", std::move(alphas));
}

Result<bool> all_resolve(const AdapterConfig& config, std::span<const ModuleRank> modules) {
  FERRULE_TRY(const auto resolver, peft::StrengthResolver::compile(config));
  for (const auto& module : modules) {
    FERRULE_TRY(const auto resolved, resolver.resolve(module.path));
    if (resolved.rank != static_cast<double>(module.rank) || resolved.alpha != module.alpha) {
      return false;
    }
  }
  return true;
}

}  // namespace

Result<void> set_ranks(AdapterConfig& config, std::span<const ModuleRank> modules) {
  const auto common = commonest(modules);
  FERRULE_CHECK(config.set("r", Json(common.first)));
  FERRULE_CHECK(config.set("lora_alpha", number(common.second)));
  FERRULE_CHECK(config.set("use_rslora", Json(false)));
  FERRULE_CHECK(config.set("init_lora_weights", Json(true)));
  for (const std::string_view field : {"eva_config", "corda_config", "lora_ga_config"}) {
    FERRULE_CHECK(config.set(field, Json()));
  }
  FERRULE_CHECK(config.set("loftq_config", Json(Json::Object())));
  FERRULE_CHECK(set_patterns(config, modules, common, false));
  // A path is an expression, too, and may match another module's; then it is spelled out.
  const auto plain = all_resolve(config, modules);
  if (plain && *plain) return {};
  FERRULE_CHECK(set_patterns(config, modules, common, true));
  FERRULE_TRY(const bool exact, all_resolve(config, modules));
  if (exact) return {};
  return base::unsupported("FA-6", "patterns cannot give each of the modules its rank");
}

}  // namespace ferrule::factor
