// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/json.hpp"
#include "ferrule/text.hpp"

namespace ferrule::peft {

/// Reads fields that have passed the type check.
class ConfigFields {
 public:
  explicit ConfigFields(const Json& document) : document_(document) {}
  bool given(std::string_view name) const {
    const auto* value = document_.find(name);
    return value != nullptr && !value->is_null();
  }
  /// Python's bool(value).
  bool truthy(std::string_view name) const {
    const auto* value = document_.find(name);
    if (value == nullptr || value->is_null()) return false;
    if (const auto* flag = value->if_bool()) return *flag;
    if (const auto* text = value->if_string()) return !text->empty();
    if (const auto* items = value->if_array()) return !items->empty();
    if (const auto* members = value->if_object()) return !members->empty();
    return value->number().value_or(0) != 0;
  }
  bool is_text(std::string_view name) const {
    const auto* value = document_.find(name);
    return value != nullptr && value->is_string();
  }
  std::optional<double> number(std::string_view name) const {
    const auto* value = document_.find(name);
    return value == nullptr ? std::nullopt : value->number();
  }
  std::string_view text(std::string_view name) const {
    const auto* value = document_.find(name);
    if (value == nullptr || !value->is_string()) return {};
    return *value->if_string();
  }
  std::vector<std::string_view> texts(std::string_view name) const {
    std::vector<std::string_view> result;
    const auto* value = document_.find(name);
    const auto* items = value == nullptr ? nullptr : value->if_array();
    if (items == nullptr) return result;
    for (const auto& item : *items) {
      if (const auto* entry = item.if_string()) result.emplace_back(*entry);
    }
    return result;
  }
  std::size_t length(std::string_view name) const {
    const auto* value = document_.find(name);
    const auto* items = value == nullptr ? nullptr : value->if_array();
    return items == nullptr ? 0 : items->size();
  }
  std::string dump(std::string_view name) const {
    const auto* value = document_.find(name);
    return value == nullptr ? "null" : printable(value->dump_python(-1), 80);
  }

 private:
  const Json& document_;
};

}  // namespace ferrule::peft
