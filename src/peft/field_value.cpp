// SPDX-License-Identifier: Apache-2.0
// "key=value" of the command line: text to a value of the kind that the field takes.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "base/errors.hpp"
#include "ferrule/adapter_config.hpp"
#include "ferrule/text.hpp"
#include "peft/config_schema.hpp"
#include "peft/did_you_mean.hpp"

namespace ferrule {
namespace {

/// "a,b,c" as its parts; a comma at the end is allowed, so that "a," is a list of one.
std::vector<std::string_view> parts_of(std::string_view text) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const auto comma = text.find(',');
    parts.push_back(text.substr(0, comma));
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return parts;
}

bool is_name(std::string_view word) {
  return !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
  });
}

std::optional<Json> as_list(std::uint32_t kinds, std::string_view text) {
  const auto parts = parts_of(text);
  Json::Array strings;
  Json::Array numbers;
  for (const auto part : parts) {
    strings.emplace_back(part);
    if (auto number = Json::parse(part); number && number->if_int64() != nullptr) {
      numbers.push_back(*std::move(number));
    }
  }
  if ((kinds & peft::kind::kIntList) != 0 && numbers.size() == parts.size()) return Json(numbers);
  if ((kinds & peft::kind::kStringList) == 0) return std::nullopt;
  // If a pattern is allowed too, only names make a list: "a{1,2}" is a pattern.
  const bool pattern_too = (kinds & peft::kind::kString) != 0;
  const bool names = std::all_of(parts.begin(), parts.end(), is_name);
  if (pattern_too && (!names || text.find(',') == std::string_view::npos)) return std::nullopt;
  return Json(strings);
}

}  // namespace

Result<Json> parse_field_value(std::string_view peft_type, std::string_view field,
                               std::string_view text) {
  const auto* schema = peft::find_type(peft_type);
  if (schema == nullptr) {
    return base::invalid("CF-6", quote(peft_type) + " is not a type of PEFT" +
                                     peft::did_you_mean(peft_type, peft_types()));
  }
  const auto* known = schema->find(field);
  if (known == nullptr) {
    std::vector<std::string_view> names;
    for (const auto& row : schema->fields) names.push_back(row.name);
    return base::invalid("CF-9", std::string(schema->name) + " has no field " + quote(field) +
                                     peft::did_you_mean(field, names));
  }
  auto json = Json::parse(text);
  if (json && peft::holds(known->kinds, *json)) return json;
  if (auto list = as_list(known->kinds, text)) return *std::move(list);
  if ((known->kinds & peft::kind::kString) != 0) return Json(text);
  return base::invalid("CF-8", "field " + quote(field) + " must be " +
                                   peft::describe_kinds(known->kinds) + ", found " + quote(text));
}

}  // namespace ferrule
