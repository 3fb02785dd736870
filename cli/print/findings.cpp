// SPDX-License-Identifier: Apache-2.0
#include "print/findings.hpp"

#include <algorithm>

#include "ferrule/text.hpp"
#include "print/text.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

constexpr std::size_t kMaxFindings = 50;

}  // namespace

void report(const Finding& finding) {
  const bool error = finding.severity == Severity::kError;
  const auto color = error                                    ? Color::kRed
                     : finding.severity == Severity::kWarning ? Color::kYellow
                                                              : Color::kCyan;
  std::string text;
  if (!finding.path.empty()) text += printable(finding.path) + ": ";
  if (!error) text += colored(Stream::kErr, color, severity_name(finding.severity)) + ": ";
  if (!finding.rule.empty()) {
    text += colored(Stream::kErr, color, "[" + finding.rule + "]") + " ";
  }
  text += finding.message + "\n";
  if (!finding.advice.empty()) text += "    " + finding.advice + "\n";
  print(Stream::kErr, text);
}

void report(const Error& error) { report(to_finding(error)); }

void report(std::span<const Finding> findings) {
  for (const auto& finding : findings.first(std::min(findings.size(), kMaxFindings))) {
    report(finding);
  }
  if (findings.size() > kMaxFindings) {
    print(Stream::kErr,
          "... and " + grouped(findings.size() - kMaxFindings) + " more (--json lists them all)\n");
  }
}

}  // namespace ferrule::cli
