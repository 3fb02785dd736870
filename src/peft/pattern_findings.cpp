// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <utility>

#include "ferrule/text.hpp"
#include "peft/strength.hpp"

namespace ferrule::peft {
namespace {

/// One expression of a config, and the field it stands in.
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

/// The entry that wins for a module: the first that matches.
std::size_t winner(const std::vector<std::pair<std::string, regex::Pattern>>& entries,
                   std::string_view module_path) {
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const auto hit = entries[i].second.match(module_path);
    if (hit && *hit) return i;
  }
  return entries.size();
}

std::optional<Finding> order_finding(std::string_view field, const PatternTable& table,
                                     std::span<const std::string> module_paths) {
  std::vector<std::pair<std::string, regex::Pattern>> entries;
  for (const auto& [text, value] : table) {
    auto pattern = regex::Pattern::compile_entry(text);
    if (!pattern) return std::nullopt;  // pattern_findings tells it.
    entries.emplace_back(text, *std::move(pattern));
  }
  auto sorted = entries;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const std::string& path : module_paths) {
    const std::size_t now = winner(entries, path);
    const std::size_t then = winner(sorted, path);
    if (now == entries.size() || entries[now].first == sorted[then].first) continue;
    return Finding{.severity = Severity::kWarning,
                   .rule = "CF-14",
                   .key = std::string(field),
                   .message = "for " + quote(path) + " the entry " + quote(entries[now].first) +
                              " of " + std::string(field) +
                              " wins; written by PEFT, which sorts them, " +
                              quote(sorted[then].first) + " would",
                   .advice = "make the expressions exclude each other"};
  }
  return std::nullopt;
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

std::vector<Finding> pattern_order_findings(const AdapterConfig& config,
                                            std::span<const std::string> module_paths) {
  std::vector<Finding> findings;
  const auto& type = config.peft_type();
  if (type == "ADALORA" || type == "OSF") return findings;
  for (const auto& [field, table] :
       {std::pair<std::string_view, PatternTable>("rank_pattern", config.rank_pattern()),
        {"alpha_pattern", config.alpha_pattern()}}) {
    if (auto finding = order_finding(field, table, module_paths)) {
      findings.push_back(*std::move(finding));
    }
  }
  return findings;
}

}  // namespace ferrule::peft
