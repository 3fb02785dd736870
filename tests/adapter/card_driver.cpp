// SPDX-License-Identifier: Apache-2.0
// Answers card_differential.py: a JSON array of requests on stdin, the array of answers on stdout.
#include <cstdio>
#include <iostream>
#include <iterator>
#include <list>
#include <string>
#include <utility>
#include <vector>

#include "adapter/card.hpp"
#include "ferrule/json.hpp"
#include "format/card/yaml_scalar.hpp"

namespace ferrule {
namespace {

std::optional<std::string> text(const Json& object, std::string_view key) {
  const Json* value = object.find(key);
  if (value == nullptr || value->if_string() == nullptr) return std::nullopt;
  return *value->if_string();
}

ModelFacts read_facts(const Json& json) {
  ModelFacts facts;
  facts.class_name = text(json, "class");
  facts.module = text(json, "module");
  facts.name_or_path = text(json, "name_or_path");
  if (const Json* tags = json.find("model_tags"); tags != nullptr && tags->if_array() != nullptr) {
    for (const Json& tag : *tags->if_array()) facts.model_tags.push_back(*tag.if_string());
  }
  if (const Json* value = json.find("is_transformers"); value != nullptr) {
    if (const bool* flag = value->if_bool()) facts.is_transformers = *flag;
  }
  if (const Json* modules = json.find("modules"); modules != nullptr) {
    for (const auto& [path, name] : *modules->if_object()) facts.modules[path] = *name.if_string();
  }
  if (const Json* config = json.find("config"); config != nullptr) facts.config = *config;
  return facts;
}

Json card(const Json& request) {
  std::list<AdapterConfig> configs;
  std::vector<adapter::CardAdapter> adapters;
  for (const auto& [name, config] : *request.find("adapters")->if_object()) {
    auto parsed = AdapterConfig::parse(config.dump());
    if (!parsed) return Json(parsed.error().to_string());
    configs.push_back(*std::move(parsed));
    adapter::CardAdapter each;
    each.name = name;
    each.config = &configs.back();
    each.tensors = 4;
    each.parameters = 1024;
    each.file_bytes = 4500;
    each.module_paths = {"model.layers.0.q_proj", "model.layers.1.q_proj"};
    each.dtype = "F32";
    adapters.push_back(std::move(each));
  }
  const auto result =
      adapter::make_card(adapters, read_facts(*request.find("facts")), text(request, "existing"));
  Json::Array rules;
  for (const Finding& finding : result.findings) rules.emplace_back(finding.rule);
  Json answer;
  answer.set("text", result.text);
  answer.set("changed", result.changed);
  answer.set("rules", std::move(rules));
  return answer;
}

Json answer(const Json& request) {
  if (const auto scalar = text(request, "dump")) {
    return Json(format::dump_yaml_entry("k", *scalar, "\n") + "\n" +
                format::dump_yaml_entry("tags", std::vector<std::string>{*scalar}, "\n") + "\n");
  }
  return card(request);
}

int run() {
  const std::string input{std::istreambuf_iterator<char>(std::cin), {}};
  const auto requests = Json::parse(input);
  if (!requests || requests->if_array() == nullptr) {
    std::cerr << (requests ? "no array" : requests.error().to_string()) << "\n";
    return 1;
  }
  Json::Array answers;
  for (const Json& request : *requests->if_array()) answers.push_back(answer(request));
  std::cout << Json(std::move(answers)).dump() << "\n";
  return 0;
}

}  // namespace
}  // namespace ferrule

int main() { return ferrule::run(); }
