// SPDX-License-Identifier: Apache-2.0
#include "ferrule/explain.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "adapter/method_modules.hpp"
#include "base/glob.hpp"
#include "ferrule/text.hpp"
#include "update/tensor_values.hpp"

namespace ferrule {
namespace {

bool selected(std::string_view glob, std::string_view path) {
  if (glob.empty()) return true;
  while (true) {
    if (base::glob_matches(glob, path)) return true;
    const auto dot = path.find('.');
    if (dot == std::string_view::npos) return false;
    path.remove_prefix(dot + 1);
  }
}

/// DeLoRA trains its factor: lambda / r, on an update whose ranks are normalized.
void read_delora(const AdapterModule& module, ModuleStrength& resolved) {
  const auto lambda = module.tensor("delora_lambda");
  if (!lambda || !resolved.rank || lambda->element_count() != 1) return;
  const auto value = update::values_of(*lambda);
  if (!value || !std::isfinite(value->front())) return;
  resolved.alpha = value->front();
  resolved.strength = value->front() / *resolved.rank;
  resolved.rule = resolved.rule.substr(0, resolved.rule.find(", alpha")) +
                  ", alpha is delora_lambda of the file, alpha/r";
}

std::vector<PatternUse> pattern_uses(const AdapterConfig& config) {
  std::vector<PatternUse> uses;
  for (const auto& [pattern, value] : config.rank_pattern()) {
    uses.push_back({"rank_pattern", pattern, value, 0});
  }
  for (const auto& [pattern, value] : config.alpha_pattern()) {
    uses.push_back({"alpha_pattern", pattern, value, 0});
  }
  return uses;
}

/// Entries that stay at 0 are what CF-16 warns of.
void count_uses(const ModuleStrength& resolved, std::vector<PatternUse>& uses) {
  for (auto& use : uses) {
    const auto name = std::string(use.field) + " " + quote(use.pattern);
    // The rule starts with, or has after a comma, the entry that won.
    const auto at = resolved.rule.find(name);
    if (at != std::string::npos) ++use.modules;
  }
}

}  // namespace

StrengthReport explain(const Adapter& adapter, std::string_view module_glob) {
  StrengthReport report;
  report.patterns = pattern_uses(adapter.config());
  const bool delora = adapter.config().peft_type() == "DELORA";
  for (const auto& module : adapter.modules()) {
    if (!adapter::has_method_tensors(adapter.config(), module)) continue;
    ExplainedModule explained{std::string(module.path()), module.resolved()};
    if (delora) read_delora(module, explained.resolved);
    if (!explained.resolved.strength && explained.resolved.rule.empty()) {
      explained.resolved.rule = adapter.config().peft_type() + " has no factor";
    }
    count_uses(explained.resolved, report.patterns);
    if (selected(module_glob, module.path())) report.modules.push_back(std::move(explained));
  }
  return report;
}

}  // namespace ferrule
