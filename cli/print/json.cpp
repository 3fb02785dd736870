// SPDX-License-Identifier: Apache-2.0
#include "print/json.hpp"

#include <cmath>
#include <utility>

#include "terminal.hpp"

namespace ferrule::cli {

Json to_json(const Finding& finding) {
  Json json;
  json.set("severity", severity_name(finding.severity));
  json.set("rule", finding.rule);
  json.set("path", finding.path);
  json.set("key", finding.key);
  json.set("message", finding.message);
  json.set("advice", finding.advice);
  return json;
}

Json to_json(std::span<const Finding> findings) {
  Json::Array array;
  for (const auto& finding : findings) array.push_back(to_json(finding));
  return array;
}

Json to_json(const Error& error) {
  Json json;
  json.set("code", error_code_name(error.code));
  json.set("rule", error.rule);
  json.set("path", error.path);
  json.set("message", error.message);
  json.set("errno", error.system_errno);
  return json;
}

Json to_json(std::span<const std::uint64_t> shape) {
  Json::Array array;
  for (const auto extent : shape) array.push_back(Json(extent));
  return array;
}

Json real(const std::optional<double>& value) {
  constexpr double kExactIntegers = 0x1p53;
  if (!value || !std::isfinite(*value)) return {};
  if (*value == std::floor(*value) && std::fabs(*value) <= kExactIntegers) {
    return static_cast<std::int64_t>(*value);
  }
  return *value;
}

Json::Object fields_of(Json object) { return std::move(*object.if_object()); }

void print_document(Json::Object fields) {
  fields.insert(fields.begin(), {"version", 1});
  print(Stream::kOut, Json(std::move(fields)).dump_python(2, false) + "\n");
}

}  // namespace ferrule::cli
