// SPDX-License-Identifier: Apache-2.0
#include "ferrule/finding.hpp"

#include <algorithm>

namespace ferrule {

std::string_view severity_name(Severity severity) noexcept {
  switch (severity) {
    case Severity::kError:
      return "error";
    case Severity::kWarning:
      return "warning";
    case Severity::kNote:
      return "note";
  }
  return "error";
}

bool has_error(std::span<const Finding> findings) noexcept {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& f) { return f.severity == Severity::kError; });
}

void sort_by_severity(std::span<Finding> findings) {
  std::stable_sort(findings.begin(), findings.end(),
                   [](const Finding& a, const Finding& b) { return a.severity < b.severity; });
}

Finding to_finding(const Error& error) {
  return {.severity = Severity::kError,
          .rule = error.rule,
          .path = error.path,
          .key = {},
          .message = error.message,
          .advice = {}};
}

}  // namespace ferrule
