// SPDX-License-Identifier: Apache-2.0
#include "print/findings.hpp"

#include <algorithm>
#include <map>
#include <string_view>

#include "ferrule/text.hpp"
#include "print/text.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

constexpr std::size_t kMaxCauses = 50;
/// How the first of more findings than a report keeps ends.
constexpr std::string_view kFirstOfMany = " (one of ";

/// What stays of a message without names and numbers: messages of one cause have it in common. An
/// answer that names a neighbor ("the nearest is") is another one for another name, but the same in
/// every layer.
std::string skeleton(std::string_view message) {
  message = message.substr(0, message.rfind(kFirstOfMany));
  const bool names_matter = message.find("; the nearest is ") != std::string_view::npos;
  std::string text;
  bool quoted = false;
  for (std::size_t i = 0; i < message.size(); ++i) {
    const char c = message[i];
    if (quoted && c == '\\') ++i;
    if (c == '"') quoted = !quoted;
    if (quoted && !names_matter) continue;
    if (c < '0' || c > '9') {
      text += c;
    } else if (text.empty() || text.back() != '#') {
      text += '#';
    }
  }
  return text;
}

void print_finding(const Finding& finding, const std::string& message) {
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
  text += message + "\n";
  if (!finding.advice.empty()) text += "    " + finding.advice + "\n";
  print(Stream::kErr, text);
}

}  // namespace

std::string Cause::message() const {
  const bool counted = first->message.rfind(kFirstOfMany) != std::string::npos;
  if (findings == 1 || counted) return first->message;
  return first->message + " (" + grouped(findings - 1) + " more like it)";
}

std::vector<Cause> causes_of(std::span<const Finding> findings, bool list_all) {
  std::vector<Cause> causes;
  std::map<std::string, std::size_t> known;
  for (const auto& finding : findings) {
    const auto name = finding.path + '\0' + finding.rule + '\0' +
                      std::string(severity_name(finding.severity)) + '\0' + finding.advice + '\0' +
                      skeleton(finding.message);
    const auto [found, is_new] = known.emplace(name, causes.size());
    if (is_new || list_all) {
      causes.push_back({&finding, 1});
    } else {
      ++causes[found->second].findings;
    }
  }
  return causes;
}

void report(const Finding& finding) { print_finding(finding, finding.message); }

void report(const Error& error) { report(to_finding(error)); }

void report(std::span<const Finding> findings, bool list_all) {
  const auto causes = causes_of(findings, list_all);
  const auto shown = list_all ? causes.size() : std::min(causes.size(), kMaxCauses);
  for (const auto& cause : std::span(causes).first(shown)) {
    print_finding(*cause.first, cause.message());
  }
  if (causes.size() > shown) {
    print(Stream::kErr,
          "... and " + grouped(causes.size() - shown) + " more (--json lists them all)\n");
  }
}

}  // namespace ferrule::cli
