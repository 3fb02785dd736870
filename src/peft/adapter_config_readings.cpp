// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/adapter_config.hpp"
#include "peft/config_rules.hpp"
#include "peft/config_schema.hpp"

namespace ferrule {
namespace {

std::vector<std::string> strings(const Json* value) {
  std::vector<std::string> result;
  const auto* items = value == nullptr ? nullptr : value->if_array();
  if (items == nullptr) return result;
  for (const auto& item : *items) {
    if (const auto* text = item.if_string()) result.push_back(*text);
  }
  return result;
}

std::optional<ModuleSelector> selector(const Json* value) {
  if (value == nullptr || value->is_null()) return std::nullopt;
  if (const auto* pattern = value->if_string()) {
    return ModuleSelector{.is_pattern = true, .pattern = *pattern, .names = {}};
  }
  return ModuleSelector{.is_pattern = false, .pattern = {}, .names = strings(value)};
}

PatternTable pattern_table(const Json* value) {
  PatternTable table;
  const auto* members = value == nullptr ? nullptr : value->if_object();
  if (members == nullptr) return table;
  for (const auto& [pattern, entry] : *members) {
    if (const auto number = entry.number()) table.emplace_back(pattern, *number);
  }
  return table;
}

constexpr std::array<std::string_view, 6> kAlphaFields = {
    "lora_alpha", "alpha", "randlora_alpha", "psoft_alpha", "delora_lambda", "shadow_alpha"};

}  // namespace

std::optional<std::string> AdapterConfig::task_type() const { return text("task_type"); }

std::optional<std::string> AdapterConfig::base_model_name_or_path() const {
  return text("base_model_name_or_path");
}

bool AdapterConfig::is_prompt_learning() const noexcept {
  const auto* schema = peft::find_type(peft_type_);
  return schema != nullptr && schema->find("num_virtual_tokens") != nullptr;
}

std::string AdapterConfig::bias() const { return text("bias").value_or("none"); }

std::optional<ModuleSelector> AdapterConfig::target_modules() const {
  return selector(find("target_modules"));
}

std::optional<ModuleSelector> AdapterConfig::exclude_modules() const {
  return selector(find("exclude_modules"));
}

std::vector<std::string> AdapterConfig::modules_to_save() const {
  const auto* value = find("modules_to_save");
  // LN_TUNING may name a single one.
  if (value != nullptr && value->is_string()) return {*value->if_string()};
  return strings(value);
}

std::vector<std::string> AdapterConfig::target_parameters() const {
  return strings(find("target_parameters"));
}

std::optional<std::int64_t> AdapterConfig::rank() const {
  const auto* schema = peft::find_type(peft_type_);
  const auto* field = schema == nullptr ? nullptr : peft::rank_field(*schema);
  return field == nullptr ? std::nullopt : integer(field->name);
}

std::optional<double> AdapterConfig::alpha() const {
  const auto* schema = peft::find_type(peft_type_);
  if (schema == nullptr) return std::nullopt;
  for (const auto name : kAlphaFields) {
    if (schema->find(name) != nullptr) return number(name);
  }
  return std::nullopt;
}

bool AdapterConfig::use_rslora() const { return flag("use_rslora"); }
bool AdapterConfig::use_dora() const { return flag("use_dora"); }
PatternTable AdapterConfig::rank_pattern() const { return pattern_table(find("rank_pattern")); }
PatternTable AdapterConfig::alpha_pattern() const { return pattern_table(find("alpha_pattern")); }

bool AdapterConfig::has_trainable_token_indices() const {
  const auto* value = find("trainable_token_indices");
  return value != nullptr && !value->is_null();
}

bool AdapterConfig::flag(std::string_view field, bool fallback) const noexcept {
  const auto* value = find(field);
  const auto* held = value == nullptr ? nullptr : value->if_bool();
  return held == nullptr ? fallback : *held;
}

std::optional<double> AdapterConfig::number(std::string_view field) const noexcept {
  const auto* value = find(field);
  return value == nullptr ? std::nullopt : value->number();
}

std::optional<std::int64_t> AdapterConfig::integer(std::string_view field) const noexcept {
  const auto* value = find(field);
  const auto* held = value == nullptr ? nullptr : value->if_int64();
  return held == nullptr ? std::nullopt : std::optional(*held);
}

std::optional<std::string> AdapterConfig::text(std::string_view field) const {
  const auto* value = find(field);
  const auto* held = value == nullptr ? nullptr : value->if_string();
  return held == nullptr ? std::nullopt : std::optional(*held);
}

}  // namespace ferrule
