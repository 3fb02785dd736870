// SPDX-License-Identifier: Apache-2.0
#include "print/sarif.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ferrule/json.hpp"
#include "ferrule/version.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

struct RuleText {
  std::string_view rule;
  std::string_view title;
  std::string_view text;
};

constexpr RuleText kRuleTexts[] = {
#include "print/rule_texts_data.inc"
};

/// For findings without a rule of their own.
constexpr std::string_view kNoRule = "ferrule";

const RuleText* find_text(std::string_view rule) {
  const auto* found = std::find_if(std::begin(kRuleTexts), std::end(kRuleTexts),
                                   [&](const RuleText& text) { return text.rule == rule; });
  return found == std::end(kRuleTexts) ? nullptr : found;
}

Json message(std::string_view text) { return Json::Object{{"text", text}}; }

const char* level_of(Severity severity) {
  switch (severity) {
    case Severity::kError:
      return "error";
    case Severity::kWarning:
      return "warning";
    case Severity::kNote:
      break;
  }
  return "note";
}

/// A path as a relative reference or a file URI: everything but unreserved characters and '/' is
/// percent-encoded (RFC 3986).
std::string uri_of(std::string_view path) {
  std::string uri = path.starts_with('/') ? "file://" : "";
  for (const char c : path) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || c == '/' || c == '-' || c == '_' || c == '.' ||
                          c == '~';
    if (is_plain) {
      uri += c;
    } else {
      std::array<char, 4> code{};
      std::snprintf(code.data(), code.size(), "%%%02X",
                    static_cast<unsigned>(static_cast<unsigned char>(c)));
      uri += code.data();
    }
  }
  return uri;
}

Json::Array locations_of(const std::string& path, const std::string& key) {
  if (path.empty() && key.empty()) return {};
  Json::Object location;
  if (!path.empty()) {
    Json artifact = Json::Object{{"uri", uri_of(path)}};
    location.emplace_back("physicalLocation",
                          Json::Object{{"artifactLocation", std::move(artifact)}});
  }
  if (!key.empty()) {
    Json::Array logical;
    logical.push_back(Json::Object{{"fullyQualifiedName", key}, {"kind", "element"}});
    location.emplace_back("logicalLocations", std::move(logical));
  }
  Json::Array locations;
  locations.emplace_back(std::move(location));
  return locations;
}

Json rule_json(const std::string& rule) {
  const auto* text = find_text(rule);
  Json::Object json{{"id", rule}};
  if (text != nullptr) {
    json.emplace_back("shortDescription", message(text->title));
    json.emplace_back("fullDescription", message(text->text));
    json.emplace_back("help", message(text->text));
  }
  return json;
}

Json result_json(const Finding& finding, const std::map<std::string, std::uint64_t>& rules) {
  const auto rule = finding.rule.empty() ? std::string(kNoRule) : finding.rule;
  const auto text =
      finding.advice.empty() ? finding.message : finding.message + ". " + finding.advice;
  Json::Object json{{"ruleId", rule},
                    {"ruleIndex", Json(rules.at(rule))},
                    {"level", level_of(finding.severity)},
                    {"message", message(text)}};
  auto locations = locations_of(finding.path, finding.key);
  if (!locations.empty()) json.emplace_back("locations", std::move(locations));
  return json;
}

Json notification_json(const Error& error) {
  Json::Object json{{"level", "error"}, {"message", message(error.message)}};
  auto locations = locations_of(error.path, {});
  if (!locations.empty()) json.emplace_back("locations", std::move(locations));
  return json;
}

}  // namespace

void print_sarif(std::string_view command, std::span<const Finding> findings,
                 std::span<const Error> errors) {
  std::map<std::string, std::uint64_t> rules;
  for (const auto& finding : findings) {
    rules.emplace(finding.rule.empty() ? std::string(kNoRule) : finding.rule, 0);
  }
  Json::Array rule_list;
  for (auto& [rule, index] : rules) {
    index = rule_list.size();
    rule_list.push_back(rule_json(rule));
  }
  Json::Array results;
  for (const auto& finding : findings) results.push_back(result_json(finding, rules));
  Json::Array notifications;
  for (const auto& error : errors) notifications.push_back(notification_json(error));

  Json driver = Json::Object{{"name", "ferrule"},
                             {"version", version()},
                             {"semanticVersion", version()},
                             {"rules", std::move(rule_list)}};
  Json::Array invocations;
  invocations.push_back(Json::Object{{"executionSuccessful", errors.empty()},
                                     {"toolExecutionNotifications", std::move(notifications)}});
  Json details = Json::Object{{"id", "ferrule " + std::string(command) + "/"}};
  Json::Array runs;
  runs.push_back(Json::Object{{"tool", Json::Object{{"driver", std::move(driver)}}},
                              {"automationDetails", std::move(details)},
                              {"invocations", std::move(invocations)},
                              {"results", std::move(results)}});
  const Json log = Json::Object{{"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
                                {"version", "2.1.0"},
                                {"runs", std::move(runs)}};
  print(Stream::kOut, log.dump_python(2, false) + "\n");
}

}  // namespace ferrule::cli
