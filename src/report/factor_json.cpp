// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <utility>

#include "ferrule/report_json.hpp"

namespace ferrule {
namespace {

Json module_json(const FactoredModule& module) {
  Json::Array values;
  for (const double value : module.singular_values) values.push_back(real_json(value));
  return Json::Object{{"module", module.path},
                      {"rank", Json(module.rank)},
                      {"rank_before", Json(module.rank_before)},
                      {"norm", real_json(module.norm)},
                      {"relative_error", real_json(module.relative_error)},
                      {"singular_values", std::move(values)}};
}

Json modules_json(const std::vector<FactoredModule>& modules) {
  Json::Array rows;
  for (const auto& module : modules) rows.push_back(module_json(module));
  return rows;
}

}  // namespace

Json::Object to_json(const CombineReport& report, const std::filesystem::path& output) {
  return {{"output", output.string()},
          {"weights_file", report.weights_file},
          {"parameters", Json(report.parameters)},
          {"relative_error", real_json(report.relative_error)},
          {"modules", modules_json(report.modules)},
          {"findings", to_json(report.findings)}};
}

Json::Object to_json(const ResizeReport& report, const std::filesystem::path& output) {
  return {{"output", output.string()},
          {"in_place", report.in_place},
          {"weights_file", report.weights_file},
          {"parameters_before", Json(report.parameters_before)},
          {"parameters", Json(report.parameters)},
          {"relative_error", real_json(report.relative_error)},
          {"modules", modules_json(report.modules)},
          {"copied", Json::Array(report.copied.begin(), report.copied.end())},
          {"findings", to_json(report.findings)}};
}

Json::Object to_json(const ExtractReport& report, const std::filesystem::path& output) {
  Json::Array others;
  for (const auto& other : report.others) {
    others.push_back(Json::Object{{"tensor", other.name},
                                  {"relative_change", real_json(other.relative_change)},
                                  {"kept", other.kept}});
  }
  return {{"output", output.string()},
          {"weights_file", report.weights_file},
          {"parameters", Json(report.parameters)},
          {"relative_error", real_json(report.relative_error)},
          {"modules", modules_json(report.modules)},
          {"unchanged", Json(report.unchanged)},
          {"others", std::move(others)},
          {"findings", to_json(report.findings)}};
}

Json::Object to_json(const ToLoraReport& report, const std::filesystem::path& output) {
  return {{"output", output.string()},
          {"weights_file", report.weights_file},
          {"from", report.from},
          {"parameters", Json(report.parameters)},
          {"relative_error", real_json(report.relative_error)},
          {"modules", modules_json(report.modules)},
          {"findings", to_json(report.findings)}};
}

}  // namespace ferrule
