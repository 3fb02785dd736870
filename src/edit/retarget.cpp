// SPDX-License-Identifier: Apache-2.0
#include "edit/retarget.hpp"

#include <cmath>
#include <string_view>
#include <utility>

#include "check/live_config.hpp"
#include "peft/targets.hpp"

namespace ferrule::edit {
namespace {

std::string_view leaf(std::string_view path) { return path.substr(path.rfind('.') + 1); }

bool same(double a, double b) { return std::abs(a - b) <= 1e-9 * std::abs(b); }

/// Whether the config selects the new paths and no other module of the base.
bool selects_exactly(const AdapterConfig& config, const std::set<std::string>& paths,
                     const model::BaseIndex& base) {
  const auto targets = peft::TargetRule::compile(config);
  if (!targets || !targets->known()) return false;
  for (const auto& path : paths) {
    const auto hit = targets->selects(path);
    if (!hit || !*hit) return false;
  }
  for (const auto& module : base.all_modules) {
    const auto hit = targets->selects(module.path);
    if (!hit || *hit != paths.contains(module.path)) return false;
  }
  return true;
}

bool keeps_strengths(const AdapterConfig& before, const AdapterConfig& after, const Moves& moves) {
  for (const auto& [old_path, new_path] : moves) {
    const auto was = resolve_strength(before, old_path);
    const auto is = resolve_strength(after, new_path);
    if (!was || !is || was->strength != is->strength || was->rank != is->rank) return false;
  }
  return true;
}

bool name_targets(AdapterConfig& config, const std::set<std::string>& names) {
  Json::Array list;
  for (const auto& name : names) list.emplace_back(name);
  for (const auto* field : {"exclude_modules", "layers_to_transform", "layers_pattern"}) {
    if (config.find(field) != nullptr && !config.set(field, Json())) return false;
  }
  return static_cast<bool>(config.set("target_modules", Json(std::move(list))));
}

/// Strengths by full path, as `before` has them.
bool pin_strengths(const AdapterConfig& before, AdapterConfig& config, const Moves& moves) {
  std::map<std::string, Wanted> wanted;
  for (const auto& [old_path, new_path] : moves) {
    const auto was = resolve_strength(before, old_path);
    if (!was || !was->rank || !was->strength) return false;
    wanted[new_path] = {*was->rank, *was->strength};
  }
  return set_strengths(config, wanted);
}

}  // namespace

Json plain_number(double value) {
  const auto whole = static_cast<std::int64_t>(value);
  return static_cast<double>(whole) == value ? Json(whole) : Json(value);
}

bool set_strengths(AdapterConfig& config, const std::map<std::string, Wanted>& wanted) {
  const auto rank = static_cast<double>(config.rank().value_or(8));
  const auto alpha = config.alpha().value_or(8);
  Json::Object ranks;
  Json::Object alphas;
  for (const auto& [path, want] : wanted) {
    const auto own = want.strength * (config.use_rslora() ? std::sqrt(want.rank) : want.rank);
    const auto rounded = std::round(own);
    const auto value = same(own, rounded) ? rounded : own;
    if (want.rank != rank) ranks.emplace_back("^" + path, plain_number(want.rank));
    if (!same(value, alpha)) alphas.emplace_back("^" + path, plain_number(value));
  }
  return config.set("rank_pattern", Json(std::move(ranks))) &&
         config.set("alpha_pattern", Json(std::move(alphas)));
}

std::optional<AdapterConfig> retarget(const AdapterConfig& before, const Moves& moves,
                                      const model::BaseIndex& base) {
  std::set<std::string> paths;
  std::set<std::string> names;
  for (const auto& [old_path, new_path] : moves) {
    paths.insert(new_path);
    names.emplace(leaf(new_path));
  }
  auto config = before;
  for (const auto* wanted : {static_cast<std::set<std::string>*>(nullptr), &names, &paths}) {
    if (wanted != nullptr && !name_targets(config, *wanted)) return std::nullopt;
    if (!selects_exactly(config, paths, base)) continue;
    if (keeps_strengths(before, config, moves)) return config;
    if (pin_strengths(before, config, moves) && keeps_strengths(before, config, moves)) {
      return config;
    }
    return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace ferrule::edit
