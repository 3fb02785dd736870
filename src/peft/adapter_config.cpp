// SPDX-License-Identifier: Apache-2.0
#include "ferrule/adapter_config.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "peft/config_rules.hpp"
#include "peft/config_schema.hpp"
#include "peft/config_upgrade.hpp"
#include "peft/dialect.hpp"
#include "peft/did_you_mean.hpp"

namespace ferrule {
namespace {

using peft::FieldSchema;
using peft::TypeSchema;

std::vector<std::string_view> field_names(const TypeSchema& schema) {
  std::vector<std::string_view> names;
  for (const auto& field : schema.fields) names.push_back(field.name);
  return names;
}

/// The field that was probably meant: a similar name, the only one that ends in it ("alpha" for
/// lora_alpha), or `r` for "rank".
std::string field_hint(std::string_view name, const TypeSchema& schema) {
  const auto names = field_names(schema);
  if (auto hint = peft::did_you_mean(name, names); !hint.empty()) return hint;
  if (name == "rank" && schema.find("r") != nullptr) return "; did you mean \"r\"?";
  const auto ends_in_name = [&](std::string_view field) {
    return field.ends_with(name) && field.size() > name.size() &&
           field[field.size() - name.size() - 1] == '_';
  };
  const auto found = std::find_if(names.begin(), names.end(), ends_in_name);
  if (found == names.end() || std::count_if(names.begin(), names.end(), ends_in_name) != 1)
    return {};
  return "; did you mean " + quote(*found) + "?";
}

/// True if every number in the value is finite (a NaN anywhere spoils what it is used for).
bool all_finite(const Json& value) {
  if (const auto* number = value.if_float()) return std::isfinite(*number);
  if (const auto* items = value.if_array()) {
    return std::all_of(items->begin(), items->end(), all_finite);
  }
  if (const auto* members = value.if_object()) {
    return std::all_of(members->begin(), members->end(),
                       [](const auto& member) { return all_finite(member.second); });
  }
  return true;
}

Result<void> check_field(const FieldSchema& field, const Json& value) {
  if (!all_finite(value)) {
    return base::corrupt("CF-4",
                         "field " + quote(field.name) + " holds a number that is not finite");
  }
  if (!peft::holds(field.kinds, value)) {
    return base::corrupt("CF-8", "field " + quote(field.name) + " must be " +
                                     peft::describe_kinds(field.kinds) + ", found " +
                                     std::string(value.type_name()) + " " +
                                     printable(value.dump_python(-1), 60));
  }
  if (field.name != "task_type" || value.is_null()) return {};
  const auto tasks = peft::task_types();
  if (std::find(tasks.begin(), tasks.end(), *value.if_string()) != tasks.end()) return {};
  return base::corrupt("CF-7", "field \"task_type\" holds " + quote(*value.if_string()) +
                                   ", which is not a task type of PEFT" +
                                   peft::did_you_mean(*value.if_string(), tasks));
}

/// Most configs without a type are another program's, which adding one would not make PEFT's.
std::string without_type(const Json& document) {
  std::string text = "the field \"peft_type\" is missing";
  if (const auto* dialect = peft::dialect_of_config(document)) {
    text += ": this is " + std::string(dialect->what) + ", not of PEFT; " +
            std::string(dialect->advice);
  } else if (document.find("r") != nullptr && document.find("lora_alpha") != nullptr) {
    text += "; its other fields are those of LORA";
  }
  return text;
}

/// The document's type, which must be one that PEFT knows.
Result<const TypeSchema*> schema_of(const Json& document) {
  if (!document.is_object()) {
    return base::corrupt(
        "CF-5", "an adapter config is a JSON object, found " + std::string(document.type_name()));
  }
  const auto* type = document.find("peft_type");
  if (type == nullptr) return base::corrupt("CF-6", without_type(document));
  if (!type->is_string()) {
    return base::corrupt(
        "CF-6", "field \"peft_type\" must be a string, found " + std::string(type->type_name()));
  }
  if (const auto* schema = peft::find_type(*type->if_string())) return schema;
  return base::corrupt("CF-6", "field \"peft_type\" holds " + quote(*type->if_string()) +
                                   ", which is not a type of PEFT" +
                                   peft::did_you_mean(*type->if_string(), peft_types()));
}

void report_unknown_fields(const Json& document, const TypeSchema& schema,
                           std::vector<Finding>& findings) {
  constexpr std::size_t kNamed = 8;
  const auto names = field_names(schema);
  std::string listed;
  std::size_t count = 0;
  std::string first;
  std::string advice;
  for (const auto& [name, value] : *document.if_object()) {
    if (schema.find(name) != nullptr || !all_finite(value)) continue;
    if (++count == 1) first = name;
    if (count > kNamed) continue;
    listed += (count == 1 ? "" : ", ") + quote(name, 60);
    const auto meant = suggest(name, names);
    if (meant && advice.empty()) {
      advice = "did you mean " + quote(*meant) + "?";
    }
  }
  if (count == 0) return;
  if (count > kNamed) listed += " and " + std::to_string(count - kNamed) + " more";
  findings.push_back({.severity = Severity::kWarning,
                      .rule = "CF-9",
                      .key = first,
                      .message = std::string(schema.name) + " has no field " + listed +
                                 "; PEFT ignores it, Ferrule keeps it",
                      .advice = advice});
}

/// PEFT 0.2 trained fused layers with tensors of other shapes than any later release.
void report_merged_layers(const Json& document, std::vector<Finding>& findings) {
  const auto* dialect = peft::dialect_of_config(document);
  if (dialect == nullptr) return;
  findings.push_back({.severity = Severity::kError,
                      .rule = "CF-23",
                      .key = "enable_lora",
                      .message = "this is " + std::string(dialect->what),
                      .advice = std::string(dialect->advice)});
}

Result<void> check_fields(const Json& document, const TypeSchema& schema) {
  for (const auto& [name, value] : *document.if_object()) {
    if (const auto* field = schema.find(name)) {
      FERRULE_CHECK(check_field(*field, value));
    } else if (!all_finite(value)) {
      return base::corrupt("CF-4", "field " + quote(name) + " holds a number that is not finite");
    }
  }
  return {};
}

void add_defaults(Json& document, const TypeSchema& schema) {
  for (const auto& field : schema.fields) {
    const auto* present = document.find(field.name);
    if (present == nullptr || (field.name == "peft_version" && present->is_null())) {
      document.set(field.name, field.default_value.to_json());
    }
  }
}

}  // namespace

Result<AdapterConfig> AdapterConfig::parse(std::string_view json,
                                           const std::filesystem::path& path) {
  auto read = [&]() -> Result<AdapterConfig> {
    AdapterConfig config;
    FERRULE_TRY(config.document_, Json::parse(json, {.allow_nan = true}));
    FERRULE_CHECK(peft::upgrade_config(config.document_, config.findings_));
    FERRULE_TRY(const TypeSchema* const schema, schema_of(config.document_));
    FERRULE_CHECK(check_fields(config.document_, *schema));
    report_unknown_fields(config.document_, *schema, config.findings_);
    add_defaults(config.document_, *schema);
    peft::complete_config(schema->name, config.document_);
    report_merged_layers(config.document_, config.findings_);
    FERRULE_CHECK(peft::check_config(schema->name, config.document_));
    config.peft_type_ = schema->name;
    for (auto& finding : config.findings_) finding.path = path.string();
    return config;
  }();
  if (!read) return base::at(std::move(read).error(), path);
  return read;
}

Result<AdapterConfig> AdapterConfig::parse_live(std::string_view json) {
  FERRULE_TRY(AdapterConfig config, parse(json));
  FERRULE_TRY(config.live_, Json::parse(json, {.allow_nan = true}));
  return config;
}

Result<AdapterConfig> AdapterConfig::make(std::string_view peft_type,
                                          std::span<const Json::Member> fields) {
  const auto* schema = peft::find_type(peft_type);
  if (schema == nullptr) {
    return base::invalid("CF-6", quote(peft_type) + " is not a type of PEFT" +
                                     peft::did_you_mean(peft_type, peft_types()));
  }
  AdapterConfig config;
  config.peft_type_ = schema->name;
  config.document_ = Json(Json::Object());
  for (const auto& [name, value] : fields) {
    const auto* field = schema->find(name);
    if (field == nullptr || name == "peft_type") {
      return base::invalid("CF-9", std::string(schema->name) + " has no field " + quote(name) +
                                       " to set" + field_hint(name, *schema));
    }
    FERRULE_CHECK(check_field(*field, value));
    config.document_.set(name, value);
  }
  add_defaults(config.document_, *schema);
  peft::complete_config(schema->name, config.document_);
  FERRULE_CHECK(peft::check_config(schema->name, config.document_));
  return config;
}

const std::string& AdapterConfig::peft_type() const& noexcept { return peft_type_; }
const Json& AdapterConfig::document() const& noexcept { return document_; }
const Json* AdapterConfig::find(std::string_view field) const& noexcept {
  return document_.find(field);
}
const std::vector<Finding>& AdapterConfig::findings() const& noexcept { return findings_; }

Result<void> AdapterConfig::set(std::string_view field, Json value) {
  const auto* schema = peft::find_type(peft_type_);
  const auto* known = schema == nullptr ? nullptr : schema->find(field);
  if (known != nullptr) FERRULE_CHECK(check_field(*known, value));
  if (known == nullptr && !all_finite(value)) {
    return base::corrupt("CF-4", "field " + quote(field) + " holds a number that is not finite");
  }
  if (field == "peft_type" && *value.if_string() != peft_type_) {
    return base::corrupt(
        "CF-6", "a config of type " + peft_type_ + " cannot become " + quote(*value.if_string()));
  }
  if (live_) live_->set(field, value);
  document_.set(field, std::move(value));
  return {};
}

std::string AdapterConfig::to_json() const {
  if (live_) return live_->dump_python();
  Json sorted = document_;
  const auto* schema = peft::find_type(peft_type_);
  for (const auto& field : schema->fields) {
    auto* value = field.is_set ? sorted.find(field.name) : nullptr;
    auto* items = value == nullptr ? nullptr : value->if_array();
    if (items == nullptr) continue;
    const auto less = [](const Json& a, const Json& b) { return *a.if_string() < *b.if_string(); };
    std::sort(items->begin(), items->end(), less);
    items->erase(std::unique(items->begin(), items->end()), items->end());
  }
  return sorted.dump_python();
}

}  // namespace ferrule
