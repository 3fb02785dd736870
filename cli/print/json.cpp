// SPDX-License-Identifier: Apache-2.0
#include "print/json.hpp"

#include <utility>

#include "terminal.hpp"

namespace ferrule::cli {

Json to_json(std::span<const std::uint64_t> shape) {
  Json::Array array;
  for (const auto extent : shape) array.push_back(Json(extent));
  return array;
}

Json::Object fields_of(Json object) { return std::move(*object.if_object()); }

void print_document(Json::Object fields) {
  print(Stream::kOut, report_document(std::move(fields)).dump_python(2, false) + "\n");
}

Json::Array adapters_of(const Json::Object& document) {
  for (const auto& [name, value] : document) {
    if (name != "adapters") continue;
    if (const auto* adapters = value.if_array()) return *adapters;
  }
  return {};
}

}  // namespace ferrule::cli
