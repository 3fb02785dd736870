// SPDX-License-Identifier: Apache-2.0
#include "ferrule/diff.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "base/parallel.hpp"
#include "ferrule/text.hpp"
#include "peft/config_meaning.hpp"
#include "update/diff_module.hpp"

namespace ferrule {
namespace {

using Pair = std::pair<const AdapterModule*, const AdapterModule*>;

std::vector<Pair> pair_modules(const Adapter& a, const Adapter& b) {
  std::map<std::string_view, Pair> by_path;
  for (const auto& module : a.modules()) by_path[module.path()].first = &module;
  for (const auto& module : b.modules()) by_path[module.path()].second = &module;
  std::vector<Pair> pairs;
  pairs.reserve(by_path.size());
  for (const auto& [path, pair] : by_path) pairs.push_back(pair);
  return pairs;
}

std::uint64_t bytes_of(const Pair& pair) {
  std::uint64_t bytes = 0;
  for (const auto* module : {pair.first, pair.second}) {
    if (module == nullptr) continue;
    for (const auto& tensor : module->tensors()) bytes += tensor.tensor.bytes().size();
  }
  return bytes;
}

std::vector<ConfigDiff> diff_configs(const AdapterConfig& a, const AdapterConfig& b) {
  std::set<std::string> fields;
  for (const auto* config : {&a, &b}) {
    for (const auto& [name, value] : *config->document().if_object()) fields.insert(name);
  }
  std::vector<ConfigDiff> diffs;
  for (const auto& field : fields) {
    const auto* mine = a.find(field);
    const auto* theirs = b.find(field);
    if (mine != nullptr && theirs != nullptr &&
        peft::canonical_value(a, field, *mine) == peft::canonical_value(b, field, *theirs)) {
      continue;
    }
    diffs.push_back({field, mine == nullptr ? std::nullopt : std::optional(*mine),
                     theirs == nullptr ? std::nullopt : std::optional(*theirs)});
  }
  return diffs;
}

/// The verdict on the whole: every module the same, or every one the same multiple.
void judge_whole(const std::vector<update::ModuleComparison>& modules, DiffReport& report) {
  update::Squares updates, others;
  bool same = true, scaled = true, non_finite = false;
  double tolerance = 0;
  for (const auto& module : modules) {
    updates.add(module.updates);
    others.add(module.others);
    tolerance = std::max(tolerance, module.tolerance);
    non_finite = non_finite || module.non_finite;
    // What is zero in one adapter and absent from the other does nothing in both.
    const bool nothing =
        module.updates.zero() && module.others.zero() && !module.unmeasured && !module.non_finite;
    if (nothing) continue;
    const auto verdict = module.diff.measure.verdict;
    same = same && verdict == DiffVerdict::kSame;
    scaled = scaled && (verdict == DiffVerdict::kSame || verdict == DiffVerdict::kScaled);
  }
  auto& measure = report.measure;
  measure = update::measure_squares(updates, tolerance, true);
  const auto rest = update::measure_squares(others, 0, false);
  if (updates.zero()) {
    measure = rest;
  } else if (!others.zero()) {
    measure.relative_distance = std::max(measure.relative_distance, rest.relative_distance);
  }
  const double factor = (updates.ab + others.ab) / (updates.aa + others.aa);
  const double spread = std::max(tolerance, 1e-9);
  for (const auto& module : modules) {
    const auto& own = module.diff.measure.factor;
    if (own && !(std::fabs(*own - factor) <= spread * std::fabs(factor))) scaled = false;
  }
  measure.verdict = same     ? DiffVerdict::kSame
                    : scaled ? DiffVerdict::kScaled
                             : DiffVerdict::kDifferent;
  measure.factor.reset();
  if ((same || scaled) && std::isfinite(factor)) measure.factor = factor;
  if (non_finite) measure.relative_distance.reset();
}

}  // namespace

std::string_view diff_verdict_name(DiffVerdict verdict) noexcept {
  switch (verdict) {
    case DiffVerdict::kSame:
      return "same";
    case DiffVerdict::kScaled:
      return "scaled";
    case DiffVerdict::kDifferent:
      return "different";
    case DiffVerdict::kOnlyA:
      return "only_a";
    case DiffVerdict::kOnlyB:
      return "only_b";
    case DiffVerdict::kShape:
      return "shape";
  }
  return "different";
}

DiffReport diff(const Adapter& a, const Adapter& b, const DiffOptions& options) {
  const auto pairs = pair_modules(a, b);
  std::vector<std::size_t> order(pairs.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t x, std::size_t y) {
    return bytes_of(pairs[x]) > bytes_of(pairs[y]);
  });
  std::vector<update::ModuleComparison> modules(pairs.size());
  base::parallel_for(order.size(), options.threads, [&](std::size_t i) {
    const auto& [in_a, in_b] = pairs[order[i]];
    modules[order[i]] = update::compare_modules(a, in_a, b, in_b, options.tensors);
  });
  DiffReport report;
  report.config = diff_configs(a.config(), b.config());
  judge_whole(modules, report);
  for (auto& module : modules) {
    if (module.non_finite) {
      report.findings.push_back({.severity = Severity::kWarning,
                                 .rule = "AD-20",
                                 .path = {},
                                 .key = module.diff.path,
                                 .message = "module " + quote(module.diff.path) +
                                            " holds NaN or infinite values: it has no distance",
                                 .advice = {}});
    }
    report.modules.push_back(std::move(module.diff));
  }
  return report;
}

}  // namespace ferrule
