// SPDX-License-Identifier: Apache-2.0
#include "ferrule/model_facts.hpp"

#include <string>
#include <string_view>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"

namespace ferrule {
namespace {

using StringMap = std::map<std::string, std::string, std::less<>>;

Error wrong_type(std::string_view key, std::string_view expected, const Json& found) {
  return base::corrupt("CF-30", "model facts: " + quote(key) + " must be " + std::string(expected) +
                                    " or null, found " + std::string(found.type_name()));
}

/// The member of that name, or nullptr if it is absent or null: both mean "not known".
const Json* known(const Json& facts, std::string_view key) {
  const auto* value = facts.find(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

Result<void> read(const Json& facts, std::string_view key, std::optional<std::string>& out) {
  const auto* value = known(facts, key);
  if (value == nullptr) return {};
  if (!value->is_string()) return wrong_type(key, "a string", *value);
  out = *value->if_string();
  return {};
}

Result<void> read(const Json& facts, std::string_view key, std::optional<bool>& out) {
  const auto* value = known(facts, key);
  if (value == nullptr) return {};
  if (!value->is_bool()) return wrong_type(key, "true, false", *value);
  out = *value->if_bool();
  return {};
}

Result<void> read(const Json& facts, std::string_view key, std::vector<std::string>& out) {
  const auto* value = known(facts, key);
  if (value == nullptr) return {};
  if (!value->is_array()) return wrong_type(key, "a list of strings", *value);
  for (const Json& item : *value->if_array()) {
    if (!item.is_string()) return wrong_type(key, "a list of strings", item);
    out.push_back(*item.if_string());
  }
  return {};
}

Result<void> read(const Json& facts, std::string_view key,
                  std::optional<std::vector<std::string>>& out) {
  if (known(facts, key) == nullptr) return {};
  std::vector<std::string> items;
  FERRULE_CHECK(read(facts, key, items));
  out = std::move(items);
  return {};
}

Result<void> read(const Json& facts, std::string_view key, StringMap& out) {
  const auto* value = known(facts, key);
  if (value == nullptr) return {};
  if (!value->is_object()) return wrong_type(key, "an object of strings", *value);
  for (const auto& [name, item] : *value->if_object()) {
    if (item.is_null()) continue;
    if (!item.is_string()) return wrong_type(key, "an object of strings", item);
    out.emplace(name, *item.if_string());
  }
  return {};
}

using Scalings = decltype(ModelFacts::scalings);

Result<void> read(const Json& facts, std::string_view key, Scalings& out) {
  constexpr std::string_view kExpected = "an object of objects of numbers";
  const auto* value = known(facts, key);
  if (value == nullptr) return {};
  if (!value->is_object()) return wrong_type(key, kExpected, *value);
  for (const auto& [adapter, layers] : *value->if_object()) {
    if (!layers.is_object()) return wrong_type(key, kExpected, layers);
    for (const auto& [path, scaling] : *layers.if_object()) {
      const auto* whole = scaling.if_int64();
      const auto* real = scaling.if_float();
      if (whole == nullptr && real == nullptr) return wrong_type(key, kExpected, scaling);
      out[adapter].emplace(path, whole != nullptr ? static_cast<double>(*whole) : *real);
    }
  }
  return {};
}

}  // namespace

Result<ModelFacts> ModelFacts::parse(std::string_view json) {
  FERRULE_TRY(const Json document, Json::parse(json, {.allow_nan = true}));
  if (!document.is_object()) return wrong_type("", "an object", document);
  ModelFacts facts;
  FERRULE_CHECK(read(document, "class", facts.class_name));
  FERRULE_CHECK(read(document, "module", facts.module));
  FERRULE_CHECK(read(document, "name_or_path", facts.name_or_path));
  FERRULE_CHECK(read(document, "model_tags", facts.model_tags));
  FERRULE_CHECK(read(document, "input_embeddings", facts.input_embeddings));
  FERRULE_CHECK(read(document, "output_embeddings", facts.output_embeddings));
  FERRULE_CHECK(read(document, "is_transformers", facts.is_transformers));
  FERRULE_CHECK(read(document, "model_type", facts.model_type));
  FERRULE_CHECK(read(document, "modules", facts.modules));
  FERRULE_CHECK(read(document, "class_bases", facts.class_bases));
  FERRULE_CHECK(read(document, "tied", facts.tied));
  FERRULE_CHECK(read(document, "tuner_layers", facts.tuner_layers));
  FERRULE_CHECK(read(document, "scalings", facts.scalings));
  FERRULE_CHECK(read(document, "peft_version", facts.peft_version));
  if (const auto* config = known(document, "config")) {
    if (!config->is_object()) return wrong_type("config", "an object", *config);
    facts.config = *config;
  }
  return facts;
}

}  // namespace ferrule
