// SPDX-License-Identifier: Apache-2.0
#include "adapter/examine.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <string>
#include <utility>

#include "adapter/module_rules.hpp"
#include "ferrule/text.hpp"
#include "peft/dialect.hpp"
#include "peft/method.hpp"
#include "peft/strength.hpp"

namespace ferrule {
namespace {

using peft::DiskKey;
using peft::KeyKind;

constexpr std::size_t kMaxPerRule = 1000;  // A broken file can have millions of the same.

/// Collects findings, a bounded number of each rule.
class Findings {
 public:
  void add(Finding finding) {
    if (++counts_[finding.rule] <= kMaxPerRule) list_.push_back(std::move(finding));
  }

  std::vector<Finding> take() {
    for (auto& finding : list_) {
      auto& left = counts_[finding.rule];
      if (left <= kMaxPerRule) continue;
      finding.message += " (one of " + std::to_string(left) + " like it)";
      left = 0;  // On the first alone.
    }
    sort_by_severity(list_);
    return std::move(list_);
  }

 private:
  std::map<std::string, std::size_t> counts_;
  std::vector<Finding> list_;
};

/// What is wrong with a key by itself, or nullopt.
std::optional<Finding> judge_key(std::string_view key, const DiskKey& parsed,
                                 const AdapterConfig& config) {
  const auto finding = [key](Severity severity, std::string rule, std::string message,
                             std::string advice = {}) {
    return Finding{.severity = severity,
                   .rule = std::move(rule),
                   .path = {},
                   .key = std::string(key),
                   .message = std::move(message),
                   .advice = std::move(advice)};
  };
  // Only for a finding: nearly all keys have none.
  const auto tensor = [key] { return "tensor " + quote(key); };
  switch (parsed.kind) {
    case KeyKind::kNameLeft:
      return finding(Severity::kError, "AD-8",
                     tensor() + " still has the adapter name " + quote(parsed.other) +
                         " in its key: PEFT drops it without a word under any other name",
                     "save the adapter again, or take the name out of the keys");
    case KeyKind::kObsolete:
      return finding(
          Severity::kError, "AD-9",
          tensor() + " is of the OFT of PEFT 0.15 and older, which no later release reads",
          "train it again, or load it with PEFT 0.15");
    case KeyKind::kForeign:
      return finding(Severity::kError, "AD-6",
                     tensor() + " is of " + std::string(parsed.other) + ", the config says " +
                         config.peft_type());
    case KeyKind::kUnknown:
      return finding(Severity::kError, "AD-7",
                     "nothing explains " + tensor() + ": it is not a tensor of " +
                         config.peft_type() +
                         ", and neither modules_to_save, bias nor an embedding accounts for it; "
                         "PEFT would drop it, or overwrite the base model's own");
    case KeyKind::kIgnored:
      return finding(Severity::kNote, "AD-10",
                     tensor() + " is not read by PEFT, which wrote it, and is ignored");
    default:
      break;
  }
  if (parsed.kind == KeyKind::kMethod && parsed.scope == peft::Scope::kLayer &&
      !key.starts_with("base_model.")) {
    if (const auto* dialect = peft::dialect_of_key(key)) {
      return finding(
          Severity::kError, "AD-11",
          tensor() + " is named as in " + std::string(dialect->what) + ", not as in PEFT",
          std::string(dialect->advice));
    }
    return finding(Severity::kError, "AD-11",
                   tensor() + " has no `base_model.model.` before its path: PEFT does not find it",
                   "add the prefix to every key");
  }
  return std::nullopt;
}

std::string_view role_name(const DiskKey& parsed) {
  switch (parsed.kind) {
    case KeyKind::kForeign:
    case KeyKind::kUnknown:
    case KeyKind::kObsolete:
    case KeyKind::kIgnored:
      return {};
    default:
      return parsed.attribute;
  }
}

}  // namespace

void AdapterAccess::hand_out(std::span<const std::size_t> module_of, adapter::Examination& result) {
  std::span<const AdapterTensor> all = result.tensors;
  if (!std::is_sorted(module_of.begin(), module_of.end())) {
    // Other tensors are between those of a module.
    std::vector<std::size_t> order(module_of.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return module_of[a] < module_of[b]; });
    result.grouped.reserve(order.size());
    for (const auto at : order) result.grouped.push_back(result.tensors[at]);
    all = result.grouped;
  }
  std::vector<std::size_t> counts(result.modules.size());
  for (const auto module : module_of) ++counts[module];
  for (std::size_t module = 0; module < counts.size(); ++module) {
    result.modules[module].tensors_ = all.first(counts[module]);
    all = all.subspan(counts[module]);
  }
  const auto by_path = [](const AdapterModule& a, const AdapterModule& b) {
    return a.path_ < b.path_;
  };
  if (!std::is_sorted(result.modules.begin(), result.modules.end(), by_path)) {
    std::sort(result.modules.begin(), result.modules.end(), by_path);
  }
  result.modules.shrink_to_fit();
}

void AdapterAccess::hand_over(const adapter::Examination& from,
                              adapter::Examination& result) noexcept {
  const auto& old = from.grouped.empty() ? from.tensors : from.grouped;
  const auto& all = result.grouped.empty() ? result.tensors : result.grouped;
  for (auto& module : result.modules) {
    module.tensors_ = std::span(all).subspan(
        static_cast<std::size_t>(module.tensors_.data() - old.data()), module.tensors_.size());
  }
}

adapter::Examination AdapterAccess::examine(const AdapterConfig& config,
                                            std::span<const NamedTensor> tensors) {
  adapter::Examination result;
  Findings findings;
  const auto* method = peft::find_method(config.peft_type());
  if (method == nullptr) {
    findings.add({.severity = Severity::kError,
                  .rule = "AD-2",
                  .path = {},
                  .key = "peft_type",
                  .message = "type " + quote(config.peft_type()) + " is not known",
                  .advice = {}});
    result.findings = findings.take();
    return result;
  }
  std::map<std::string_view, std::size_t> places;
  std::vector<std::size_t> module_of;
  module_of.reserve(tensors.size());
  result.tensors.reserve(tensors.size());
  result.keys.reserve(tensors.size());
  for (const auto& [key, view] : tensors) {
    const auto parsed = peft::parse_disk_key(key, config, *method);
    result.tensors.push_back(
        {.key = key, .role = role_name(parsed), .leaf = parsed.leaf, .tensor = view});
    result.keys.push_back(parsed);
    const auto path =
        parsed.scope == peft::Scope::kModel ? std::string_view() : peft::base_path(parsed.module);
    if (auto finding = judge_key(key, parsed, config)) {
      finding->module = std::string(path);
      findings.add(*std::move(finding));
    }
    // Most tensors follow another one of their module.
    if (!module_of.empty() && result.modules[module_of.back()].path_ == path) {
      module_of.push_back(module_of.back());
      continue;
    }
    const auto [place, inserted] = places.emplace(path, result.modules.size());
    if (inserted) result.modules.emplace_back().path_ = path;
    module_of.push_back(place->second);
  }
  hand_out(module_of, result);
  for (auto& finding : peft::pattern_findings(config)) findings.add(std::move(finding));
  // If an expression does not compile, the findings have just reported it.
  const auto resolver = peft::StrengthResolver::compile(config);
  for (auto& module : result.modules) {
    if (module.path_.empty() || !resolver) continue;
    if (auto strength = resolver->resolve(module.path_); strength) {
      module.strength_ = std::move(*strength);
    } else {
      auto finding = to_finding(strength.error());
      finding.key = std::string(module.path_);
      finding.module = std::string(module.path_);
      findings.add(std::move(finding));
    }
  }
  for (auto& finding : adapter::judge_modules(config, *method, result))
    findings.add(std::move(finding));
  result.findings = findings.take();
  return result;
}

}  // namespace ferrule
