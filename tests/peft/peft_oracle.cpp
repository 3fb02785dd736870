// SPDX-License-Identifier: Apache-2.0
// Answers questions of the Python tests: one JSON document a line in, one a line out.
#include <iostream>
#include <string>

#include "ferrule/adapter_config.hpp"
#include "ferrule/json.hpp"
#include "ferrule/targeting.hpp"
#include "peft/strength.hpp"
#include "regex/pattern.hpp"

namespace ferrule {
namespace {

Json failed(const Error& error) {
  Json answer;
  answer.set("rule", error.rule);
  answer.set("message", error.message);
  return answer;
}

Json answer_regex(const Json& question) {
  const auto pattern = regex::Pattern::compile(*question.find("pattern")->if_string());
  if (!pattern) return failed(pattern.error());
  Json::Array rows;
  for (const Json& text : *question.find("texts")->if_array()) {
    Json::Array row;
    for (const auto& hit :
         {pattern->fullmatch(*text.if_string()), pattern->match(*text.if_string()),
          pattern->search(*text.if_string())}) {
      row.push_back(hit ? Json(*hit) : Json(hit.error().rule));
    }
    rows.emplace_back(std::move(row));
  }
  Json answer;
  answer.set("rows", std::move(rows));
  return answer;
}

/// For each path: "no", "targeted" or "excluded", and whether it is feedforward and saved whole.
Json answer_targets(const Json& question) {
  const auto config = AdapterConfig::parse(*question.find("text")->if_string());
  if (!config) return failed(config.error());
  const auto targets = ModuleTargets::compile(*config);
  if (!targets) return failed(targets.error());
  Json::Array rows;
  for (const Json& path : *question.find("targets")->if_array()) {
    const auto judged = targets->judge(*path.if_string());
    if (!judged) return failed(judged.error());
    const auto feedforward = targets->is_feedforward(*path.if_string());
    if (!feedforward) return failed(feedforward.error());
    Json::Array row;
    row.emplace_back(*judged == Targeting::kTargeted   ? "targeted"
                     : *judged == Targeting::kExcluded ? "excluded"
                                                       : "no");
    row.emplace_back(*feedforward);
    row.emplace_back(targets->is_saved_whole(*path.if_string()));
    rows.emplace_back(std::move(row));
  }
  Json answer;
  answer.set("rows", std::move(rows));
  return answer;
}

Json answer_config(const Json& question) {
  const auto config = AdapterConfig::parse(*question.find("text")->if_string());
  if (!config) return failed(config.error());
  Json answer;
  answer.set("text", config->to_json());
  const auto* paths = question.find("paths");
  if (paths == nullptr) return answer;
  Json::Array strengths;
  for (const Json& path : *paths->if_array()) {
    const auto strength = resolve_strength(*config, *path.if_string());
    if (!strength) return failed(strength.error());
    Json::Array row;
    row.push_back(strength->strength ? Json(*strength->strength) : Json());
    row.push_back(strength->rank ? Json(*strength->rank) : Json());
    strengths.emplace_back(std::move(row));
  }
  answer.set("strengths", std::move(strengths));
  return answer;
}

Json answer_to(const Json& question) {
  if (question.find("targets") != nullptr) return answer_targets(question);
  if (question.find("pattern") != nullptr) return answer_regex(question);
  return answer_config(question);
}

}  // namespace
}  // namespace ferrule

int main() {
  std::string line;
  while (std::getline(std::cin, line)) {
    const auto question = ferrule::Json::parse(line);
    if (!question) {
      std::cerr << question.error().to_string() << "\n";
      return 2;
    }
    std::cout << ferrule::answer_to(*question).dump() << "\n";
  }
  return 0;
}
