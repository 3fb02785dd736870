// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "base/try.hpp"
#include "factor/combine_sources.hpp"

namespace ferrule::factor {
namespace {

using Sources = std::vector<CombineSource>;

Json field_of(const CombineSource& source, std::string_view field) {
  const auto* value = source.adapter.config().find(field);
  return value == nullptr ? Json() : *value;
}

bool all_agree(const Sources& sources, std::string_view field) {
  return std::all_of(sources.begin(), sources.end(), [&](const CombineSource& source) {
    return field_of(source, field) == field_of(sources.front(), field);
  });
}

Json sorted_list(const std::set<std::string>& names) {
  return Json::Array(names.begin(), names.end());
}

/// The names of all, or nullopt if one of them has an expression.
std::optional<std::set<std::string>> all_names(const Sources& sources) {
  std::set<std::string> names;
  for (const auto& source : sources) {
    const auto selector = source.adapter.config().target_modules();
    if (selector && selector->is_pattern) return std::nullopt;
    if (selector) names.insert(selector->names.begin(), selector->names.end());
  }
  return names;
}

Result<void> set_targets(AdapterConfig& config, const Sources& sources,
                         std::span<const ModuleRank> modules) {
  std::set<std::string> parameters;
  for (const auto& source : sources) {
    for (auto& name : source.adapter.config().target_parameters()) parameters.insert(name);
  }
  if (!parameters.empty()) {
    FERRULE_CHECK(config.set("target_parameters", sorted_list(parameters)));
  }
  constexpr std::string_view kNarrowing[] = {"exclude_modules", "layers_to_transform",
                                             "layers_pattern"};
  const bool narrowed_alike =
      std::all_of(std::begin(kNarrowing), std::end(kNarrowing),
                  [&](std::string_view field) { return all_agree(sources, field); });
  if (narrowed_alike && all_agree(sources, "target_modules")) return {};
  if (const auto names = all_names(sources); narrowed_alike && names) {
    return config.set("target_modules", sorted_list(*names));
  }
  // The modules themselves: an expression, or a choice of layers, of one adapter says nothing
  // about another's.
  std::set<std::string> paths;
  for (const auto& module : modules) {
    if (parameters.empty() || module.path.find("experts") == std::string::npos) {
      paths.insert(module.path);
    }
  }
  for (const auto field : kNarrowing) FERRULE_CHECK(config.set(field, Json()));
  return config.set("target_modules", sorted_list(paths));
}

Result<void> set_taken_over(AdapterConfig& config, const Sources& sources,
                            std::span<const TakenOver> taken_over) {
  std::set<std::string> saved;
  for (const auto& [source, tensor] : taken_over) {
    // "all" covers what "lora_only" does.
    if (tensor->role == "bias" && config.bias() != "all" &&
        source->adapter.config().bias() != "none") {
      FERRULE_CHECK(config.set("bias", Json(source->adapter.config().bias())));
    }
    if (tensor->role == "trainable_tokens") {
      FERRULE_CHECK(
          config.set("trainable_token_indices", field_of(*source, "trainable_token_indices")));
    }
  }
  for (const auto& source : sources) {
    for (auto& name : source.adapter.config().modules_to_save()) saved.insert(name);
  }
  if (saved.empty()) return {};
  return config.set("modules_to_save", sorted_list(saved));
}

}  // namespace

Result<AdapterConfig> combined_config(const Sources& sources, std::span<const ModuleRank> modules,
                                      std::span<const TakenOver> taken_over) {
  auto config = sources.front().adapter.config();
  FERRULE_CHECK(set_targets(config, sources, modules));
  FERRULE_CHECK(set_taken_over(config, sources, taken_over));
  const bool has_bias = std::any_of(sources.begin(), sources.end(), [](const auto& source) {
    return std::any_of(source.modules.begin(), source.modules.end(),
                       [](const LoraModule& module) { return module.bias != nullptr; });
  });
  FERRULE_CHECK(config.set("lora_bias", Json(has_bias)));
  FERRULE_CHECK(set_ranks(config, modules));
  return config;
}

}  // namespace ferrule::factor
