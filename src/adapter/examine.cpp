// SPDX-License-Identifier: Apache-2.0
#include "adapter/examine.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "adapter/module_rules.hpp"
#include "ferrule/text.hpp"
#include "peft/method.hpp"
#include "peft/strength.hpp"

namespace ferrule {
namespace {

using peft::DiskKey;
using peft::KeyKind;

constexpr std::size_t kMaxPerRule = 8;  // A broken file has thousands of the same; say a few.

/// Collects findings, a bounded number of each rule.
class Findings {
 public:
  void add(Severity severity, std::string rule, std::string_view key, std::string message,
           std::string advice = {}) {
    auto& count = counts_[rule];
    if (++count > kMaxPerRule) return;
    list_.push_back({.severity = severity,
                     .rule = std::move(rule),
                     .path = {},
                     .key = std::string(key),
                     .message = std::move(message),
                     .advice = std::move(advice)});
  }

  std::vector<Finding> take() {
    for (auto& finding : list_) {
      auto& left = counts_[finding.rule];
      if (left <= kMaxPerRule) continue;
      finding.message += " (one of " + std::to_string(left) + " like it)";
      left = 0;  // Said once, on the first.
    }
    sort_by_severity(list_);
    return std::move(list_);
  }

 private:
  std::map<std::string, std::size_t> counts_;
  std::vector<Finding> list_;
};

void judge_key(std::string_view key, const DiskKey& parsed, const AdapterConfig& config,
               Findings& findings) {
  switch (parsed.kind) {
    case KeyKind::kNameLeft:
      findings.add(Severity::kError, "AD-8", key,
                   "tensor " + quote(key) + " still has the adapter name " + quote(parsed.other) +
                       " in its key: PEFT drops it without a word under any other name",
                   "save the adapter again, or take the name out of the keys");
      return;
    case KeyKind::kObsolete:
      findings.add(Severity::kError, "AD-9", key,
                   "tensor " + quote(key) +
                       " is of the OFT of PEFT 0.15 and older, which no later "
                       "release reads",
                   "train it again, or load it with PEFT 0.15");
      return;
    case KeyKind::kForeign:
      findings.add(Severity::kError, "AD-6", key,
                   "tensor " + quote(key) + " is of " + std::string(parsed.other) +
                       ", the config says " + config.peft_type());
      return;
    case KeyKind::kUnknown:
      findings.add(Severity::kError, "AD-7", key,
                   "nothing explains tensor " + quote(key) + ": it is no tensor of " +
                       config.peft_type() +
                       ", and neither modules_to_save, bias nor an embedding "
                       "accounts for it; PEFT would drop it, or overwrite the base model's own");
      return;
    case KeyKind::kIgnored:
      findings.add(Severity::kNote, "AD-10", key,
                   "tensor " + quote(key) + " was written by an old release and is ignored");
      return;
    default:
      break;
  }
  if (parsed.kind == KeyKind::kMethod && parsed.scope == peft::Scope::kLayer &&
      !key.starts_with("base_model.")) {
    findings.add(Severity::kError, "AD-11", key,
                 "tensor " + quote(key) +
                     " has no `base_model.model.` before its path: PEFT does "
                     "not find it",
                 "add the prefix to every key");
  }
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

Examination AdapterBuilder::examine(const AdapterConfig& config,
                                    std::span<const NamedTensor> tensors) {
  Examination result;
  Findings findings;
  const auto* method = peft::find_method(config.peft_type());
  if (method == nullptr) {
    findings.add(Severity::kError, "AD-2", "peft_type",
                 "type " + quote(config.peft_type()) + " is not known");
    result.findings = findings.take();
    return result;
  }
  std::map<std::string_view, std::size_t> places;
  result.tensors.reserve(tensors.size());
  result.keys.reserve(tensors.size());
  for (const auto& [key, view] : tensors) {
    const auto parsed = peft::parse_disk_key(key, config, *method);
    judge_key(key, parsed, config, findings);
    result.tensors.push_back(
        {.key = key, .role = role_name(parsed), .leaf = parsed.leaf, .tensor = view});
    result.keys.push_back(parsed);
    const auto path =
        parsed.scope == peft::Scope::kModel ? std::string_view() : peft::base_path(parsed.module);
    const auto [place, inserted] = places.emplace(path, result.modules.size());
    if (inserted) result.modules.emplace_back().path_ = std::string(path);
    result.modules[place->second].tensors_.push_back(result.tensors.back());
  }
  std::sort(result.modules.begin(), result.modules.end(),
            [](const Module& a, const Module& b) { return a.path_ < b.path_; });
  for (auto& finding : peft::pattern_findings(config)) {
    findings.add(finding.severity, finding.rule, finding.key, std::move(finding.message),
                 std::move(finding.advice));
  }
  // Where an expression does not compile, the findings have just told it.
  const auto resolver = peft::StrengthResolver::compile(config);
  for (auto& module : result.modules) {
    if (module.path_.empty() || !resolver) continue;
    auto strength = resolver->resolve(module.path_);
    if (strength) {
      module.strength_ = std::move(*strength);
    } else {
      findings.add(Severity::kError, strength.error().rule, module.path_, strength.error().message);
    }
  }
  for (auto& finding : judge_modules(config, *method, result)) {
    findings.add(finding.severity, finding.rule, finding.key, std::move(finding.message),
                 std::move(finding.advice));
  }
  result.findings = findings.take();
  return result;
}

std::string_view Module::path() const noexcept { return path_; }

std::span<const AdapterTensor> Module::tensors() const noexcept { return tensors_; }

std::optional<TensorView> Module::tensor(std::string_view role) const noexcept {
  const auto dot = role.find('.');
  const auto name = role.substr(0, dot);
  const auto leaf = dot == std::string_view::npos ? std::string_view() : role.substr(dot + 1);
  std::optional<TensorView> only;
  for (const auto& tensor : tensors_) {
    if (tensor.role != name) continue;
    if (tensor.leaf == leaf) return tensor.tensor;
    if (leaf.empty() && tensor.leaf == "weight") return tensor.tensor;
    if (leaf.empty() && !only) only = tensor.tensor;
  }
  return only;
}

double Module::strength() const noexcept { return strength_.strength.value_or(1.0); }

const ModuleStrength& Module::resolved() const noexcept { return strength_; }

}  // namespace ferrule
