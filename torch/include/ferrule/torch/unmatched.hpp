// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "ferrule/adapter_config.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/targeting.hpp"
#include "ferrule/torch/tensors.hpp"

namespace ferrule::libtorch::detail {

inline Finding warning(const char* rule, std::string key, std::string message) {
  return {.severity = Severity::kWarning,
          .rule = rule,
          .path = {},
          .key = std::move(key),
          .message = std::move(message),
          .advice = {}};
}

using Paths = std::vector<std::string>;

/// PEFT's rule for lists: an entry is a path or the end of one.
inline bool names_any(const std::string& entry, const Paths& paths) {
  return std::any_of(paths.begin(), paths.end(), [&](const std::string& path) {
    return path == entry || path.ends_with("." + entry);
  });
}

/// Whether a key of rank_pattern or alpha_pattern matches one of these modules.
inline Result<bool> pattern_matches(const AdapterConfig& config, const char* field,
                                    const std::string& key, const Paths& targeted) {
  auto probe = config;
  const bool ranks = std::string_view(field) == "rank_pattern";
  // A config of this pattern only, in which the numbers show whether it applies.
  for (const char* other : {"rank_pattern", "alpha_pattern"}) {
    if (auto ok = probe.set(other, Json(Json::Object{})); !ok) return std::move(ok).error();
  }
  if (auto ok = probe.set(field, Json(Json::Object{{key, 7777}})); !ok) {
    return std::move(ok).error();
  }
  auto targets = ModuleTargets::compile(probe);
  if (!targets) return std::move(targets).error();
  for (const auto& path : targeted) {
    const auto strength = targets->strength(path);
    if (!strength) return strength.error();
    if ((ranks ? strength->rank : strength->alpha) == 7777) return true;
  }
  return false;
}

/// Whether exclude_modules, as an expression, leaves any module out.
inline Result<bool> exclude_matches(const AdapterConfig& config, const Paths& all) {
  auto probe = config;
  if (auto ok = probe.set("modules_to_save", Json()); !ok) return std::move(ok).error();
  auto targets = ModuleTargets::compile(probe);
  if (!targets) return std::move(targets).error();
  for (const auto& path : all) {
    if (path.empty()) continue;
    const auto judged = targets->judge(path);
    if (!judged) return judged.error();
    if (*judged == Targeting::kExcluded) return true;
  }
  return false;
}

/// What a config asks for and the model does not have: patterns, excludes, modules_to_save and
/// targets that match nothing (LT-14).
inline Result<std::vector<Finding>> report_unmatched(const AdapterConfig& config, const Paths& all,
                                                     const Paths& targeted) {
  std::vector<Finding> findings;
  const auto report = [&findings](const char* field, const std::string& entry) {
    findings.push_back(warning("LT-14", field,
                               std::string(field) + ": " + quote(entry) +
                                   " matches no module of the model, and does nothing"));
  };
  for (const char* field : {"rank_pattern", "alpha_pattern"}) {
    const auto* table = config.find(field);
    const auto* members = table == nullptr ? nullptr : table->if_object();
    if (members == nullptr) continue;
    for (const auto& [key, value] : *members) {
      const auto matches = pattern_matches(config, field, key, targeted);
      if (!matches) return matches.error();
      if (!*matches) report(field, key);
    }
  }
  if (const auto excluded = config.exclude_modules()) {
    for (const auto& name : excluded->names) {
      if (!names_any(name, all)) report("exclude_modules", name);
    }
    if (excluded->is_pattern) {
      const auto matches = exclude_matches(config, all);
      if (!matches) return matches.error();
      if (!*matches) report("exclude_modules", excluded->pattern);
    }
  }
  const auto task = config.task_type();
  const bool has_heads = task == "SEQ_CLS" || task == "TOKEN_CLS" || task == "QUESTION_ANS";
  for (const auto& name : config.modules_to_save()) {
    // PEFT adds the names of heads by itself, of which a model has one.
    if (has_heads && (name == "classifier" || name == "score" || name == "qa_outputs")) continue;
    if (!names_any(name, all)) report("modules_to_save", name);
  }
  if (const auto targets = config.target_modules()) {
    for (const auto& name : targets->names) {
      if (!names_any(name, all)) report("target_modules", name);
    }
  }
  return findings;
}

}  // namespace ferrule::libtorch::detail
