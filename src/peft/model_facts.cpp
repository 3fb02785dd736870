// SPDX-License-Identifier: Apache-2.0
#include "ferrule/model_facts.hpp"

#include <utility>

#include "base/quote.hpp"
#include "base/try.hpp"

namespace ferrule {
namespace {

Error wrong_type(std::string_view key, const Json& value, std::string_view expected) {
  return {.code = ErrorCode::kCorrupt,
          .rule = "CF-30",
          .message = "model facts: " + base::quote(key) + " should be " + std::string(expected) +
                     ", found " + std::string(value.type_name())};
}

/// Null and absent alike leave `out` as it is.
Result<void> read_text(const Json& facts, std::string_view key, std::optional<std::string>& out) {
  const auto* value = facts.find(key);
  if (value == nullptr || value->is_null()) return {};
  if (value->if_string() == nullptr) return wrong_type(key, *value, "a string");
  out = *value->if_string();
  return {};
}

Result<void> read_map(const Json& facts, std::string_view key,
                      std::map<std::string, std::string, std::less<>>& out) {
  const auto* value = facts.find(key);
  if (value == nullptr || value->is_null()) return {};
  if (value->if_object() == nullptr) return wrong_type(key, *value, "an object of strings");
  for (const auto& [name, text] : *value->if_object()) {
    if (text.is_null()) continue;
    if (text.if_string() == nullptr) return wrong_type(name, text, "a string");
    out.emplace(name, *text.if_string());
  }
  return {};
}

}  // namespace

Result<ModelFacts> ModelFacts::parse(std::string_view json) {
  FERRULE_TRY(const Json document, Json::parse(json));
  if (!document.is_object()) return wrong_type("the document", document, "an object");
  ModelFacts facts;
  FERRULE_CHECK(read_text(document, "class", facts.class_name));
  FERRULE_CHECK(read_text(document, "module", facts.module));
  FERRULE_CHECK(read_text(document, "name_or_path", facts.name_or_path));
  FERRULE_CHECK(read_text(document, "input_embeddings", facts.input_embeddings));
  FERRULE_CHECK(read_text(document, "output_embeddings", facts.output_embeddings));
  FERRULE_CHECK(read_text(document, "model_type", facts.model_type));
  FERRULE_CHECK(read_map(document, "modules", facts.modules));
  FERRULE_CHECK(read_map(document, "class_bases", facts.class_bases));
  FERRULE_CHECK(read_map(document, "tied", facts.tied));
  if (const auto* tags = document.find("model_tags"); tags != nullptr && !tags->is_null()) {
    if (tags->if_array() == nullptr) return wrong_type("model_tags", *tags, "a list of strings");
    for (const auto& tag : *tags->if_array()) {
      if (tag.if_string() == nullptr) return wrong_type("model_tags", tag, "a string");
      facts.model_tags.push_back(*tag.if_string());
    }
  }
  if (const auto* flag = document.find("is_transformers"); flag != nullptr && !flag->is_null()) {
    if (flag->if_bool() == nullptr) return wrong_type("is_transformers", *flag, "a bool");
    facts.is_transformers = *flag->if_bool();
  }
  if (const auto* config = document.find("config"); config != nullptr && !config->is_null()) {
    if (!config->is_object()) return wrong_type("config", *config, "an object");
    facts.config = *config;
  }
  return facts;
}

}  // namespace ferrule
