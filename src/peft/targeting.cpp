// SPDX-License-Identifier: Apache-2.0
#include "ferrule/targeting.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/try.hpp"
#include "peft/module_selector.hpp"
#include "peft/strength.hpp"
#include "regex/pattern.hpp"

namespace ferrule {
namespace {

using peft::CompiledSelector;
using regex::Pattern;

/// A field that holds a string or a list of strings; a pattern where it is a string.
std::optional<ModuleSelector> selector(const AdapterConfig& config, std::string_view field) {
  const auto* value = config.find(field);
  if (value == nullptr) return std::nullopt;
  ModuleSelector result;
  if (const auto* text = value->if_string()) {
    result.is_pattern = true;
    result.pattern = *text;
    return result;
  }
  const auto* items = value->if_array();
  if (items == nullptr) return std::nullopt;
  for (const auto& item : *items) {
    if (const auto* name = item.if_string()) result.names.push_back(*name);
  }
  return result;
}

}  // namespace

struct ModuleTargets::Rep {
  std::optional<ModuleSelector> targets;
  std::optional<CompiledSelector> compiled_targets;
  std::optional<CompiledSelector> excluded;
  std::vector<std::string> saved;
  std::vector<Pattern> saved_patterns;
  std::optional<std::vector<std::int64_t>> layers;
  /// Tried in order; each ends in the index of the layer that a path is in.
  std::vector<Pattern> layer_patterns;
  std::optional<ModuleSelector> feedforward;
  std::optional<Pattern> feedforward_pattern;
  peft::StrengthResolver strengths;

  Result<bool> layer_is_chosen(std::string_view path) const;
};

namespace {

/// The layers that layers_to_transform names; nullopt if it names none, which means all.
std::optional<std::vector<std::int64_t>> chosen_layers(const AdapterConfig& config) {
  if (const auto one = config.integer("layers_to_transform")) return std::vector{*one};
  const auto* value = config.find("layers_to_transform");
  const auto* items = value == nullptr ? nullptr : value->if_array();
  if (items == nullptr || items->empty()) return std::nullopt;
  std::vector<std::int64_t> layers;
  for (const auto& item : *items) {
    if (const auto* index = item.if_int64()) layers.push_back(*index);
  }
  return layers;
}

/// PEFT's own expressions; without layers_pattern any numbered segment but the first two will do.
std::vector<std::string> layer_expressions(const AdapterConfig& config) {
  const auto layers = selector(config, "layers_pattern");
  std::vector<std::string> names;
  if (layers) names = layers->names;
  if (layers && !layers->pattern.empty()) names.push_back(layers->pattern);
  if (names.empty()) return {".*?\\.[^.]*\\.(\\d+)\\."};
  for (auto& name : names) name = "(?:^|.*?\\.)" + name + "\\.(\\d+)\\.";
  return names;
}

std::optional<std::int64_t> to_index(std::string_view digits) {
  std::int64_t value = 0;
  for (const char digit : digits) {
    if (digit < '0' || digit > '9') return std::nullopt;  // Python's \d takes other scripts' too.
    if (value > (INT64_MAX - 9) / 10) return std::nullopt;
    value = value * 10 + (digit - '0');
  }
  return value;
}

}  // namespace

Result<bool> ModuleTargets::Rep::layer_is_chosen(std::string_view path) const {
  for (const auto& pattern : layer_patterns) {
    FERRULE_TRY(auto matched, pattern.matched(path));
    if (!matched) continue;
    // What matched ends in `.INDEX.`.
    matched->remove_suffix(1);
    const auto index = to_index(matched->substr(matched->rfind('.') + 1));
    return index && std::find(layers->begin(), layers->end(), *index) != layers->end();
  }
  return false;
}

ModuleTargets::ModuleTargets(std::unique_ptr<Rep> rep) noexcept : rep_(std::move(rep)) {}
ModuleTargets::ModuleTargets(ModuleTargets&&) noexcept = default;
ModuleTargets& ModuleTargets::operator=(ModuleTargets&&) noexcept = default;
ModuleTargets::~ModuleTargets() = default;

Result<ModuleTargets> ModuleTargets::compile(const AdapterConfig& config) {
  FERRULE_TRY(auto strengths, peft::StrengthResolver::compile(config));
  auto rep = std::make_unique<Rep>(Rep{.targets = config.target_modules(),
                                       .compiled_targets = {},
                                       .excluded = {},
                                       .saved = config.modules_to_save(),
                                       .saved_patterns = {},
                                       .layers = chosen_layers(config),
                                       .layer_patterns = {},
                                       .feedforward = selector(config, "feedforward_modules"),
                                       .feedforward_pattern = {},
                                       .strengths = std::move(strengths)});
  if (rep->targets) {
    FERRULE_TRY(rep->compiled_targets, CompiledSelector::compile(*rep->targets));
  }
  if (auto excluded = config.exclude_modules();
      excluded && (!excluded->pattern.empty() || !excluded->names.empty())) {
    FERRULE_TRY(rep->excluded, CompiledSelector::compile(*std::move(excluded)));
  }
  for (const auto& entry : rep->saved) {
    FERRULE_TRY(auto pattern, Pattern::compile("(^|.*\\.)" + entry + "($|\\..*)"));
    rep->saved_patterns.push_back(std::move(pattern));
  }
  for (const auto& expression : layer_expressions(config)) {
    FERRULE_TRY(auto pattern, Pattern::compile(expression));
    rep->layer_patterns.push_back(std::move(pattern));
  }
  if (rep->feedforward && rep->feedforward->is_pattern) {
    FERRULE_TRY(rep->feedforward_pattern, Pattern::compile(rep->feedforward->pattern));
  }
  return ModuleTargets(std::move(rep));
}

Result<Targeting> ModuleTargets::judge(std::string_view module_path) const {
  if (rep_->excluded) {
    FERRULE_TRY(const bool hit, rep_->excluded->selects(module_path));
    if (hit) return Targeting::kExcluded;
  }
  for (const auto& pattern : rep_->saved_patterns) {
    FERRULE_TRY(const bool hit, pattern.match(module_path));
    if (hit) return Targeting::kExcluded;
  }
  if (!rep_->compiled_targets) return Targeting::kNo;
  FERRULE_TRY(const bool hit, rep_->compiled_targets->selects(module_path));
  if (!hit) return Targeting::kNo;
  const auto& names = rep_->targets->names;
  // A module named in full is targeted whatever layers_to_transform says.
  const bool in_full = std::find(names.begin(), names.end(), module_path) != names.end();
  if (rep_->targets->is_pattern || in_full || !rep_->layers) return Targeting::kTargeted;
  FERRULE_TRY(const bool chosen, rep_->layer_is_chosen(module_path));
  return chosen ? Targeting::kTargeted : Targeting::kNo;
}

bool ModuleTargets::is_saved_whole(std::string_view module_path) const noexcept {
  return std::any_of(rep_->saved.begin(), rep_->saved.end(),
                     [&](const std::string& entry) { return module_path.ends_with(entry); });
}

Result<bool> ModuleTargets::is_feedforward(std::string_view module_path) const {
  if (rep_->feedforward_pattern) return rep_->feedforward_pattern->fullmatch(module_path);
  if (!rep_->feedforward) return false;
  return std::any_of(rep_->feedforward->names.begin(), rep_->feedforward->names.end(),
                     [&](const std::string& name) { return module_path.ends_with(name); });
}

Result<ModuleStrength> ModuleTargets::strength(std::string_view module_path) const {
  return rep_->strengths.resolve(module_path);
}

}  // namespace ferrule
