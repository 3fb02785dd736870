// SPDX-License-Identifier: Apache-2.0
#include "ferrule/check.hpp"

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include "adapter/examine.hpp"
#include "base/errors.hpp"
#include "base/parallel.hpp"
#include "base/try.hpp"
#include "check/adaptable.hpp"
#include "check/adapter_match.hpp"
#include "check/check_causes.hpp"
#include "check/check_config.hpp"
#include "check/check_engines.hpp"
#include "check/check_values.hpp"
#include "check/engine_table.hpp"
#include "check/live_config.hpp"
#include "ferrule/text.hpp"
#include "model/base_model.hpp"
#include "peft/targets.hpp"

namespace ferrule {
namespace {

using checks::about;

/// Codes that say a module was not found; a wrong shape (BS-2, BS-9) is none of them.
bool is_unmatched(const Finding& finding) {
  return finding.rule == "BS-1" || finding.rule == "BS-3" || finding.rule == "BS-4" ||
         finding.rule == "BS-5" || finding.rule == "BS-6" || finding.rule == "BS-7" ||
         finding.rule == "BS-8" || finding.rule == "BS-11" || finding.rule == "BS-12" ||
         finding.rule == "BS-17" || finding.rule == "AD-7" || finding.rule == "AD-8" ||
         finding.rule == "AD-11";
}

class Check {
 public:
  Check(const Adapter& adapter, const BaseModel& base, const CheckOptions& options)
      : adapter_(adapter), base_(BaseModelAccess::index(base)), options_(options) {}

  Result<CheckReport> run() {
    FERRULE_TRY(const auto engines, checks::find_engines(options_.engines, options_.engine_table));
    take_own_findings();
    count();
    if (base_.source) {
      compare();
    } else {
      add(checks::compare_with_config_alone(adapter_, base_));
      findings_.push_back(
          about(Severity::kWarning, "BS-16", {},
                "the base could not be seen, only its config: whether the modules are "
                "there was not checked",
                "give the directory with the base's weights, or their index"));
    }
    if (options_.values) add(checks::judge_values(adapter_));
    for (const auto& engine : engines) add(checks::judge_for_engine(adapter_, engine, &base_));
    forgive();
    return report();
  }

 private:
  void add(std::vector<Finding> found) {
    std::move(found.begin(), found.end(), std::back_inserter(findings_));
  }

  /// What opening the adapter turned up. BS-11 is more precise than AD-14.
  void take_own_findings() {
    for (const auto& finding : adapter_.findings()) {
      if (finding.rule == "AD-14" && base_.source) continue;
      findings_.push_back(finding);
      // In a report about a base, `key` is the module.
      if (!finding.module.empty()) findings_.back().key = finding.module;
    }
  }

  void count() {
    for (const auto& module : adapter_.modules()) {
      if (!module.path().empty()) ++total_;
    }
    const bool whole = adapter_.config().is_prompt_learning() || total_ == 0;
    if (whole && !adapter_.modules().empty() && adapter_.modules().front().path().empty()) {
      ++total_;
      whole_model_ = true;
    }
  }

  void compare() {
    if (auto done = compare_modules(); !done) findings_.push_back(to_finding(done.error()));
    if (whole_model_) {
      auto prompt = checks::compare_prompt(adapter_, base_);
      if (prompt.empty()) ++matched_;
      add(std::move(prompt));
    }
    note_size();
  }

  Result<void> compare_modules() {
    FERRULE_TRY(const auto live, checks::live_config(adapter_.config(), base_));
    FERRULE_TRY(const auto targets, peft::TargetRule::compile(live.config));
    FERRULE_TRY(auto match, checks::match_modules(adapter_, live, base_, targets));
    matched_ = match.matched;
    if (live.refused) findings_.push_back(*live.refused);
    add(checks::explain_absent(adapter_, base_, match));
    FERRULE_TRY(auto refused, checks::judge_targets(live, base_, targets));
    add(std::move(refused));
    auto compared = checks::compare_config(adapter_, live, base_, match, targets);
    add(std::move(match.findings));
    FERRULE_TRY(auto more, std::move(compared));
    add(std::move(more));
    return {};
  }

  // BS-8 for shapes: one sentence where most of them are of another size.
  void note_size() {
    const auto wrong = static_cast<std::uint64_t>(
        std::count_if(findings_.begin(), findings_.end(),
                      [](const Finding& finding) { return finding.rule == "BS-2"; }));
    if (wrong < 2 || wrong * 2 < total_) return;
    findings_.push_back(
        about(Severity::kError, "BS-8", {},
              std::to_string(wrong) + " of " + std::to_string(total_) +
                  " modules have other shapes: the adapter was trained on a model of another size",
              "give the base that it was trained on"));
  }

  void forgive() {
    if (!options_.allow_partial || matched_ == 0) return;
    for (auto& finding : findings_) {
      const bool of_size = finding.rule == "BS-8" && finding.key.empty();
      if (finding.severity == Severity::kError && is_unmatched(finding) && !of_size) {
        finding.severity = Severity::kWarning;
      }
    }
  }

  CheckReport report() {
    sort_by_severity(findings_);
    const bool warned = std::any_of(findings_.begin(), findings_.end(), [](const Finding& finding) {
      return finding.severity == Severity::kWarning;
    });
    auto verdict = warned ? Verdict::kWarn : Verdict::kOk;
    if (!base_.source) verdict = Verdict::kUnknown;
    if (has_error(findings_)) verdict = Verdict::kBad;
    return {
        .verdict = verdict, .matched = matched_, .total = total_, .findings = std::move(findings_)};
  }

  const Adapter& adapter_;
  const model::BaseIndex& base_;
  const CheckOptions& options_;
  std::vector<Finding> findings_;
  std::uint64_t matched_ = 0;
  std::uint64_t total_ = 0;
  bool whole_model_ = false;
};

}  // namespace

std::string_view verdict_name(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::kOk:
      return "ok";
    case Verdict::kWarn:
      return "warn";
    case Verdict::kBad:
      return "bad";
    case Verdict::kUnknown:
      return "unknown";
  }
  return {};
}

Result<CheckReport> check(const Adapter& adapter, const BaseModel& base,
                          const CheckOptions& options) {
  // Without values, and without engines, which may look beside the adapter, adapters that are alike
  // in all else get the same answer.
  auto likeness = AdapterAccess::likeness(adapter);
  if (options.values || !options.engines.empty() || likeness == nullptr) {
    return Check(adapter, base, options).run();
  }
  auto& answers = *BaseModelAccess::index(base).answers;
  const unsigned variant = options.allow_partial ? 1 : 0;
  if (const auto known = answers.find(likeness.get(), variant)) {
    return *std::static_pointer_cast<const CheckReport>(known);
  }
  FERRULE_TRY(auto report, Check(adapter, base, options).run());
  answers.keep(std::move(likeness), variant, std::make_shared<const CheckReport>(report));
  return report;
}

Result<CheckReport> check(const std::filesystem::path& adapter, const BaseModel& base,
                          const CheckOptions& options) {
  FERRULE_TRY(const auto opened, AdapterAccess::open(adapter, options.open));
  return check(opened, base, options);
}

std::vector<Result<CheckReport>> check(std::span<const std::filesystem::path> adapters,
                                       const BaseModel& base, const CheckOptions& options) {
  std::vector<std::optional<Result<CheckReport>>> slots(adapters.size());
  base::parallel_for(adapters.size(), options.threads,
                     [&](std::size_t i) { slots[i].emplace(check(adapters[i], base, options)); });
  std::vector<Result<CheckReport>> out;
  out.reserve(slots.size());
  for (auto& slot : slots) out.push_back(std::move(*slot));
  return out;
}

}  // namespace ferrule
