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

bool has_error(const std::vector<Finding>& findings) noexcept {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& f) { return f.severity == Severity::kError; });
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
