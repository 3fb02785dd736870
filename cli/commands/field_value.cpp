// SPDX-License-Identifier: Apache-2.0
#include "commands/field_value.hpp"

#include <algorithm>
#include <cctype>

namespace ferrule::cli {
namespace {

/// Only characters of module names and commas; a regular expression has others.
bool is_name_list(std::string_view text) {
  return text.find(',') != std::string_view::npos &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '_' || c == '.' || c == '-' || c == ',' || c == ' ';
         });
}

Json::Array split(std::string_view text) {
  Json::Array names;
  while (!text.empty()) {
    auto name = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), name.size() + 1));
    while (!name.empty() && name.front() == ' ') name.remove_prefix(1);
    while (!name.empty() && name.back() == ' ') name.remove_suffix(1);
    if (!name.empty()) names.emplace_back(name);
  }
  return names;
}

}  // namespace

Json field_value(std::string_view text) {
  if (text == "True") return true;
  if (text == "False") return false;
  if (text == "None") return nullptr;
  auto json = Json::parse(text);
  if (json) return std::move(json).value();
  if (is_name_list(text)) return split(text);
  return text;
}

}  // namespace ferrule::cli
