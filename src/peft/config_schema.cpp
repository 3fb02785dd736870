// SPDX-License-Identifier: Apache-2.0
#include "peft/config_schema.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "ferrule/adapter_config.hpp"

namespace ferrule::peft {
namespace {

using namespace kind;

constexpr FieldDefault null() { return {}; }
constexpr FieldDefault boolean(bool value) {
  return {.kind = FieldDefault::Kind::kBool, .integer = value ? 1 : 0};
}
constexpr FieldDefault integer(std::int64_t value) {
  return {.kind = FieldDefault::Kind::kInteger, .integer = value};
}
constexpr FieldDefault real(double value) {
  return {.kind = FieldDefault::Kind::kReal, .real = value};
}
constexpr FieldDefault text(std::string_view value) {
  return {.kind = FieldDefault::Kind::kText, .text = value};
}
constexpr FieldDefault list() { return {.kind = FieldDefault::Kind::kList}; }
constexpr FieldDefault object() { return {.kind = FieldDefault::Kind::kObject}; }

#include "peft/config_schema_data.inc"

template <typename Row>
const Row* find_row(std::span<const Row> rows, std::string_view name) noexcept {
  const auto found = std::lower_bound(rows.begin(), rows.end(), name,
                                      [](const Row& row, auto key) { return row.name < key; });
  return found != rows.end() && found->name == name ? &*found : nullptr;
}

bool is_int(const Json& value) noexcept { return value.if_int64() != nullptr; }
bool is_bool(const Json& value) noexcept { return value.is_bool(); }
bool is_string(const Json& value) noexcept { return value.is_string(); }
bool is_number(const Json& value) noexcept { return value.is_number(); }

bool is_list_of(const Json& value, bool (*element)(const Json&) noexcept) noexcept {
  const auto* items = value.if_array();
  return items != nullptr && std::all_of(items->begin(), items->end(), element);
}
bool is_int_list(const Json& value) noexcept { return is_list_of(value, is_int); }
bool is_bool_list(const Json& value) noexcept { return is_list_of(value, is_bool); }
bool is_int_pair(const Json& value) noexcept {
  return is_int_list(value) && value.if_array()->size() == 2;
}

bool is_object_of(const Json& value, bool (*element)(const Json&) noexcept) noexcept {
  const auto* members = value.if_object();
  return members != nullptr &&
         std::all_of(members->begin(), members->end(),
                     [element](const Json::Member& member) { return element(member.second); });
}

struct KindRow {
  std::uint32_t bit;
  std::string_view description;
  bool (*test)(const Json&) noexcept;
};

constexpr KindRow kKinds[] = {
    {kBool, "true or false", is_bool},
    {kFloat, "a number", is_number},
    {kInt, "an integer", is_int},
    {kString, "a string", is_string},
    {kStringList, "a list of strings",
     [](const Json& v) noexcept { return is_list_of(v, is_string); }},
    {kIntList, "a list of integers", is_int_list},
    {kIntPairs, "a list of pairs of integers",
     [](const Json& v) noexcept { return is_list_of(v, is_int_pair); }},
    {kObject, "an object", [](const Json& v) noexcept { return v.is_object(); }},
    {kStringObject, "an object of strings",
     [](const Json& v) noexcept { return is_object_of(v, is_string); }},
    {kIntObject, "an object of integers",
     [](const Json& v) noexcept { return is_object_of(v, is_int); }},
    {kNumberObject, "an object of numbers",
     [](const Json& v) noexcept { return is_object_of(v, is_number); }},
    {kIntListObject, "an object of lists of integers",
     [](const Json& v) noexcept { return is_object_of(v, is_int_list); }},
    {kBoolListObject, "an object of lists of true and false",
     [](const Json& v) noexcept { return is_object_of(v, is_bool_list); }},
    {kNull, "null", [](const Json& v) noexcept { return v.is_null(); }},
};

constexpr auto kTypeNames = [] {
  std::array<std::string_view, std::size(kTypes)> names{};
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = kTypes[i].name;
  return names;
}();

}  // namespace

bool holds(std::uint32_t kinds, const Json& value) noexcept {
  if ((kinds & kBool) != 0) kinds |= kNull;
  return std::any_of(std::begin(kKinds), std::end(kKinds),
                     [&](const KindRow& row) { return (kinds & row.bit) != 0 && row.test(value); });
}

std::string describe_kinds(std::uint32_t kinds) {
  if ((kinds & kFloat) != 0) kinds &= ~kInt;
  std::string text;
  for (const KindRow& row : kKinds) {
    if ((kinds & row.bit) == 0) continue;
    if (!text.empty()) text += " or ";
    text += row.description;
  }
  return text;
}

Json FieldDefault::to_json() const {
  switch (kind) {
    case Kind::kNull:
      return {};
    case Kind::kBool:
      return Json(integer != 0);
    case Kind::kInteger:
      return Json(integer);
    case Kind::kReal:
      return Json(real);
    case Kind::kText:
      return Json(text);
    case Kind::kList:
      return Json(Json::Array());
    case Kind::kObject:
      return Json(Json::Object());
  }
  return {};
}

const FieldSchema* TypeSchema::find(std::string_view field) const noexcept {
  return find_row(fields, field);
}

const TypeSchema* find_type(std::string_view peft_type) noexcept {
  return find_row(std::span<const TypeSchema>(kTypes), peft_type);
}

const TypeSchema* find_sub_config(std::string_view field) noexcept {
  return find_row(std::span<const TypeSchema>(kSubConfigs), field);
}

std::span<const std::string_view> task_types() noexcept { return kTaskTypes; }
std::span<const std::string_view> wavelet_families() noexcept { return kWaveletFamilies; }
std::span<const std::string_view> activations() noexcept { return kActivations; }

}  // namespace ferrule::peft

namespace ferrule {

std::span<const std::string_view> peft_types() noexcept { return peft::kTypeNames; }

}  // namespace ferrule
