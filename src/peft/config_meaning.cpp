// SPDX-License-Identifier: Apache-2.0
#include "peft/config_meaning.hpp"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "peft/config_schema.hpp"
#include "peft/strength.hpp"
#include "regex/pattern.hpp"

namespace ferrule::peft {
namespace {

constexpr double kExactIntegers = 0x1p53;

constexpr std::string_view kProvenance[] = {"auto_mapping", "base_model_name_or_path",
                                            "inference_mode", "peft_version", "revision"};

// Besides those that PEFT keeps as sets: lists of which it only asks whether something is in them.
constexpr std::string_view kSets[] = {"layers_pattern", "layers_to_transform", "modules_to_save",
                                      "target_parameters"};

bool contains(std::span<const std::string_view> words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool is_empty_object(const Json& value) { return value.is_object() && value.if_object()->empty(); }

/// Whole floats become integers, at every depth.
Json canonical_numbers(const Json& value) {
  if (const auto* real = value.if_float()) {
    const bool whole = *real == std::floor(*real) && std::fabs(*real) <= kExactIntegers;
    return whole ? Json(static_cast<std::int64_t>(*real)) : value;
  }
  if (const auto* items = value.if_array()) {
    Json::Array out;
    for (const Json& item : *items) out.push_back(canonical_numbers(item));
    return out;
  }
  if (const auto* members = value.if_object()) {
    Json::Object out;
    for (const auto& [name, member] : *members) out.emplace_back(name, canonical_numbers(member));
    return out;
  }
  return value;
}

bool less(const Json& a, const Json& b) {
  if (a.if_int64() != nullptr && b.if_int64() != nullptr) return *a.if_int64() < *b.if_int64();
  if (a.is_string() && b.is_string()) return *a.if_string() < *b.if_string();
  return a.is_string() < b.is_string();
}

void sort_as_set(Json& value) {
  auto* items = value.if_array();
  const bool comparable =
      items != nullptr && std::all_of(items->begin(), items->end(), [](const Json& item) {
        return item.is_string() || item.if_int64() != nullptr;
      });
  if (!comparable) return;
  std::sort(items->begin(), items->end(), less);
  items->erase(std::unique(items->begin(), items->end()), items->end());
}

/// A nested config without what equals its defaults. It is given, so it stays though it be empty.
Json without_defaults(const Json& nested, const TypeSchema& schema) {
  Json::Object out;
  for (const auto& [name, value] : *nested.if_object()) {
    const auto* field = schema.find(name);
    if (field != nullptr && canonical_numbers(field->default_value.to_json()) == value) continue;
    out.emplace_back(name, value);
  }
  return out;
}

Json canonical(const FieldSchema* field, std::string_view name, const Json& given) {
  if (field != nullptr && given.is_null() && (field->kinds & kind::kBool) != 0 &&
      (field->kinds & kind::kNull) == 0) {
    return false;
  }
  auto value = canonical_numbers(given);
  if (field != nullptr && (field->is_set || contains(kSets, name))) sort_as_set(value);
  const auto* nested = find_sub_config(name);
  if (nested != nullptr && value.is_object()) return without_defaults(value, *nested);
  return is_empty_object(value) ? Json() : value;
}

/// The entry as the type asks it. Where the rule of a type is not known the wider one.
Result<bool> hits(const regex::Pattern& pattern, bool anchored, const std::string& path) {
  return anchored ? pattern.match(path) : pattern.search(path);
}

/// True if two entries of different values match one module, so that the first one decides.
bool order_decides(std::string_view peft_type, const Json::Object& table,
                   std::span<const std::string> paths) {
  const bool anchored =
      peft_type != "OSF" && peft_type != "FOURIERFT" && peft_type != "C3A" && peft_type != "WAVEFT";
  if (std::all_of(table.begin(), table.end(),
                  [&](const auto& entry) { return entry.second == table.front().second; })) {
    return false;
  }
  std::vector<regex::Pattern> patterns;
  for (const auto& [text, value] : table) {
    auto pattern = regex::Pattern::compile(anchored ? "(.*\\.)?(" + text + ")$" : text);
    if (!pattern) return true;
    patterns.push_back(*std::move(pattern));
  }
  for (const auto& path : paths) {
    const Json* first = nullptr;
    for (std::size_t i = 0; i < patterns.size(); ++i) {
      const auto hit = hits(patterns[i], anchored, path);
      if (!hit) return true;
      if (!*hit) continue;
      if (first != nullptr && !(*first == table[i].second)) return true;
      first = &table[i].second;
    }
  }
  return false;
}

bool is_pattern_table(const Json& value, std::string_view name) {
  const auto* members = value.if_object();
  return members != nullptr && name.ends_with("_pattern") &&
         std::all_of(members->begin(), members->end(),
                     [](const auto& member) { return member.second.is_number(); });
}

Json as_pairs(const Json::Object& table) {
  Json::Array pairs;
  for (const auto& [pattern, value] : table) pairs.push_back(Json::Array{Json(pattern), value});
  return pairs;
}

/// What an unknown field holds where it is switched off: PEFT ignores the field, and older releases
/// wrote some that later ones no longer have.
bool is_off(const Json& value) {
  if (value.is_null() || value == Json(false)) return true;
  if (const auto* text = value.if_string()) return text->empty();
  if (const auto* items = value.if_array()) return items->empty();
  return is_empty_object(value);
}

}  // namespace

bool is_provenance(std::string_view field) noexcept { return contains(kProvenance, field); }

Json canonical_value(const AdapterConfig& config, std::string_view field, const Json& value) {
  const auto* schema = find_type(config.peft_type());
  return canonical(schema == nullptr ? nullptr : schema->find(field), field, value);
}

Json config_meaning(const AdapterConfig& config, std::span<const std::string> module_paths) {
  const auto* schema = find_type(config.peft_type());
  std::vector<std::string> asked;
  for (const auto& path : module_paths) {
    for (auto& name : pattern_paths(config, path)) asked.push_back(std::move(name));
  }
  Json::Object meaning;
  for (const auto& [name, given] : *config.document().if_object()) {
    if (is_provenance(name)) continue;
    const auto* field = schema == nullptr ? nullptr : schema->find(name);
    auto value = canonical(field, name, given);
    const bool dropped = field == nullptr
                             ? is_off(value)
                             : value == canonical(field, name, field->default_value.to_json());
    if (dropped && name != "peft_type") continue;
    if (is_pattern_table(value, name) &&
        order_decides(config.peft_type(), *value.if_object(), asked)) {
      value = as_pairs(*value.if_object());
    }
    meaning.emplace_back(name, std::move(value));
  }
  return meaning;
}

}  // namespace ferrule::peft
