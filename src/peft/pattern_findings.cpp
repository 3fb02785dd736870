// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <utility>

#include "ferrule/text.hpp"
#include "peft/strength.hpp"

namespace ferrule::peft {
namespace {

/// One expression of a config, and the field it is in.
using Expression = std::pair<std::string_view, std::string>;

std::vector<Expression> expressions(const AdapterConfig& config) {
  std::vector<Expression> found;
  const auto add_selector = [&](std::string_view field,
                                const std::optional<ModuleSelector>& selector) {
    if (selector && selector->is_pattern) found.emplace_back(field, selector->pattern);
  };
  add_selector("target_modules", config.target_modules());
  add_selector("exclude_modules", config.exclude_modules());
  for (const std::string_view field : {"rank_pattern", "alpha_pattern", "lambda_pattern"}) {
    const auto* table = config.find(field);
    const auto* members = table == nullptr ? nullptr : table->if_object();
    if (members == nullptr || config.peft_type() == "ADALORA") continue;
    for (const auto& [pattern, value] : *members) {
      found.emplace_back(field,
                         config.peft_type() == "OSF" ? pattern : "(.*\\.)?(" + pattern + ")$");
    }
  }
  for (const auto& name : config.modules_to_save()) {
    found.emplace_back("modules_to_save", "(^|.*\\.)" + name + "($|\\..*)");
  }
  return found;
}

}  // namespace

std::vector<Finding> pattern_findings(const AdapterConfig& config) {
  std::vector<Finding> findings;
  for (const auto& [field, expression] : expressions(config)) {
    const auto pattern = regex::Pattern::compile(expression);
    if (pattern) continue;
    Finding finding = to_finding(pattern.error());
    finding.key = field;
    finding.message = std::string(field) + ": " + finding.message;
    if (pattern.error().code == ErrorCode::kUnsupported) finding.severity = Severity::kWarning;
    findings.push_back(std::move(finding));
  }
  return findings;
}

}  // namespace ferrule::peft
