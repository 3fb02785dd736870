// SPDX-License-Identifier: Apache-2.0
#include "edit/normal_config.hpp"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "peft/exact_pattern.hpp"
#include "peft/strength.hpp"

namespace ferrule::edit {
namespace {

std::uint64_t commonest(std::span<const ModuleRank> ranks) {
  std::map<std::uint64_t, std::size_t> counts;
  for (const auto& [path, rank] : ranks) ++counts[rank];
  std::uint64_t best = 1;
  std::size_t most = 0;
  for (const auto& [rank, count] : counts) {
    if (count >= most) best = rank, most = count;
  }
  return best;
}

Json pattern_of(std::span<const ModuleRank> ranks, std::uint64_t common, bool escaped) {
  std::map<std::string, std::uint64_t> entries;
  for (const auto& [path, rank] : ranks) {
    if (rank != common) entries[escaped ? peft::exact_pattern(path) : path] = rank;
  }
  Json::Object out;
  for (const auto& [path, rank] : entries) out.emplace_back(path, Json(rank));
  return out;
}

Result<bool> all_resolve(const AdapterConfig& config, std::span<const ModuleRank> ranks) {
  FERRULE_TRY(const auto resolver, peft::StrengthResolver::compile(config));
  for (const auto& [path, rank] : ranks) {
    FERRULE_TRY(const auto resolved, resolver.resolve(path));
    if (resolved.rank != static_cast<double>(rank) || resolved.strength != 1.0) return false;
  }
  return true;
}

Result<void> set_ranks(AdapterConfig& config, std::span<const ModuleRank> ranks,
                       std::uint64_t common, bool escaped) {
  FERRULE_CHECK(config.set("rank_pattern", pattern_of(ranks, common, escaped)));
  return config.set("alpha_pattern", pattern_of(ranks, common, escaped));
}

}  // namespace

Result<AdapterConfig> normal_config(const AdapterConfig& config,
                                    std::span<const ModuleRank> ranks) {
  auto result = config;
  const auto own = static_cast<std::uint64_t>(std::max<std::int64_t>(config.rank().value_or(1), 1));
  const auto common = ranks.empty() ? own : commonest(ranks);
  FERRULE_CHECK(result.set("r", Json(common)));
  FERRULE_CHECK(result.set("lora_alpha", Json(common)));
  FERRULE_CHECK(result.set("use_rslora", Json(false)));
  FERRULE_CHECK(result.set("init_lora_weights", Json(true)));
  for (const std::string_view field : {"eva_config", "corda_config", "lora_ga_config"}) {
    FERRULE_CHECK(result.set(field, Json()));
  }
  FERRULE_CHECK(result.set("loftq_config", Json(Json::Object())));
  FERRULE_CHECK(set_ranks(result, ranks, common, false));
  // A path is an expression, too, and may match another module's; then it is spelled out.
  const auto plain = all_resolve(result, ranks);
  if (plain && *plain) return result;
  FERRULE_CHECK(set_ranks(result, ranks, common, true));
  FERRULE_TRY(const bool exact, all_resolve(result, ranks));
  if (exact) return result;
  return base::unsupported("NM-6", "patterns cannot give each of the modules its rank");
}

}  // namespace ferrule::edit
