// SPDX-License-Identifier: Apache-2.0
#include "ferrule/scan_report.hpp"

#include <algorithm>
#include <utility>

#include "base/glob.hpp"

namespace ferrule {
namespace {

bool is_allowed(const ScanPolicy& policy, const std::string& text) {
  return std::any_of(policy.allow.begin(), policy.allow.end(),
                     [&](const std::string& glob) { return base::glob_matches(glob, text); });
}

bool fails(const std::optional<ScanSeverity>& severity, ScanFailOn fail_on) {
  if (!severity) return false;
  switch (fail_on) {
    case ScanFailOn::kDangerous:
      return *severity == ScanSeverity::kDangerous;
    case ScanFailOn::kUnknown:
      return *severity != ScanSeverity::kTrainingState;
    case ScanFailOn::kAny:
      break;
  }
  return true;
}

JudgedFile judge(ScannedFile file, const ScanPolicy& policy) {
  JudgedFile judged{.file = std::move(file), .allowed = 0, .severity = {}, .fails = false};
  auto& hits = judged.file.hits;
  auto& gaps = judged.file.gaps;
  const auto before = hits.size() + gaps.size();
  if (is_allowed(policy, judged.file.path.string()) ||
      is_allowed(policy, judged.file.path.filename().string())) {
    hits.clear();
    gaps.clear();
  } else {
    std::erase_if(hits, [&](const ScanHit& hit) {
      return !hit.global.empty() && is_allowed(policy, hit.global);
    });
  }
  judged.allowed = before - hits.size() - gaps.size();
  judged.severity = judged.file.severity();
  judged.fails = fails(judged.severity, policy.fail_on);
  return judged;
}

Severity severity_of(const ScanHit& hit) {
  switch (hit.severity) {
    case ScanSeverity::kDangerous:
      return Severity::kError;
    case ScanSeverity::kUnknown:
      return Severity::kWarning;
    case ScanSeverity::kTrainingState:
      break;
  }
  return Severity::kNote;
}

}  // namespace

void ScanReport::add(ScannedFile file, const ScanPolicy& policy) {
  auto judged = judge(std::move(file), policy);
  pickles += judged.file.pickles;
  if (!judged.file.examined && !judged.file.system_error) ++not_examined;
  if (judged.file.system_error) ++errors;
  failed |= judged.fails;
  if (judged.severity == ScanSeverity::kDangerous) ++dangerous;
  if (judged.severity == ScanSeverity::kUnknown) ++unknown;
  if (judged.severity == ScanSeverity::kTrainingState) ++training_state;
  files.push_back(std::move(judged));
}

std::string_view ScanReport::verdict() const noexcept {
  if (errors > 0) return "error";
  if (dangerous > 0) return "dangerous";
  if (unknown > 0) return "unknown";
  return training_state > 0 ? "training_state" : "clean";
}

std::vector<Finding> ScanReport::findings() const {
  std::vector<Finding> findings;
  for (const auto& judged : files) {
    const auto path = judged.file.path.string();
    for (const auto& hit : judged.file.hits) {
      findings.push_back({.severity = severity_of(hit),
                          .rule = "PK-3",
                          .path = path,
                          .key = hit.global,
                          .message = (hit.entry.empty() ? "" : hit.entry + ": ") + "offset " +
                                     std::to_string(hit.offset) + ": " + hit.opcode + " " + hit.why,
                          .advice = {}});
    }
    for (const auto& gap : judged.file.gaps) {
      findings.push_back({.severity = Severity::kWarning,
                          .rule = gap.rule,
                          .path = path,
                          .key = gap.entry,
                          .message = "not read to its end: " + gap.message,
                          .advice = {}});
    }
  }
  return findings;
}

}  // namespace ferrule
