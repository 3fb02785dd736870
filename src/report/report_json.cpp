// SPDX-License-Identifier: Apache-2.0
#include "ferrule/report_json.hpp"

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "report/shape_json.hpp"

namespace ferrule {
namespace {

Json names(const std::vector<std::string>& texts) {
  return Json::Array(texts.begin(), texts.end());
}

Json dtype_json(const std::optional<Dtype>& dtype) {
  return dtype ? Json(dtype_name(*dtype)) : Json();
}

void add_measure(Json::Object& fields, const DiffMeasure& measure) {
  fields.emplace_back("verdict", diff_verdict_name(measure.verdict));
  fields.emplace_back("factor", real_json(measure.factor));
  fields.emplace_back("relative_distance", real_json(measure.relative_distance));
  fields.emplace_back("cosine", real_json(measure.cosine));
}

Json tensor_json(const TensorDiff& tensor) {
  Json::Object fields{{"tensor", tensor.name}};
  add_measure(fields, tensor.measure);
  fields.emplace_back("largest_difference", real_json(tensor.largest_difference));
  fields.emplace_back("dtype_a", dtype_json(tensor.dtype_a));
  fields.emplace_back("dtype_b", dtype_json(tensor.dtype_b));
  fields.emplace_back("shape_a", tensor.dtype_a ? reports::shape_json(tensor.shape_a) : Json());
  fields.emplace_back("shape_b", tensor.dtype_b ? reports::shape_json(tensor.shape_b) : Json());
  return fields;
}

Json module_json(const ModuleDiff& module, bool tensors) {
  Json::Object fields{{"module", module.path}};
  add_measure(fields, module.measure);
  if (!tensors) return fields;
  Json::Array rows;
  for (const auto& tensor : module.tensors) rows.push_back(tensor_json(tensor));
  fields.emplace_back("tensors", std::move(rows));
  return fields;
}

}  // namespace

Json to_json(const Finding& finding) {
  return Json::Object{{"severity", severity_name(finding.severity)},
                      {"rule", finding.rule},
                      {"path", finding.path},
                      {"key", finding.key},
                      {"message", finding.message},
                      {"advice", finding.advice}};
}

Json to_json(std::span<const Finding> findings) {
  Json::Array array;
  for (const auto& finding : findings) array.push_back(to_json(finding));
  return array;
}

Json to_json(const Error& error) {
  return Json::Object{{"code", error_code_name(error.code)},
                      {"rule", error.rule},
                      {"path", error.path},
                      {"message", error.message},
                      {"errno", error.system_errno}};
}

Json real_json(const std::optional<double>& value) {
  constexpr double kExactIntegers = 0x1p53;
  if (!value || !std::isfinite(*value)) return {};
  if (*value == std::floor(*value) && std::fabs(*value) <= kExactIntegers) {
    return static_cast<std::int64_t>(*value);
  }
  return *value;
}

Json::Object to_json(const CleanReport& report, const std::filesystem::path& folder) {
  const auto texts = [](const std::vector<std::filesystem::path>& paths) {
    Json::Array list;
    for (const auto& path : paths) list.emplace_back(path.string());
    return list;
  };
  Json::Array errors;
  for (const auto& error : report.errors) errors.push_back(to_json(error));
  return {{"folder", folder.string()},
          {"removed", texts(report.removed)},
          {"in_use", texts(report.in_use)},
          {"kept", texts(report.kept)},
          {"errors", std::move(errors)}};
}

Json::Object to_json(const CheckReport& report) {
  return {{"verdict", verdict_name(report.verdict)},
          {"modules", Json::Object{{"matched", report.matched}, {"total", report.total}}},
          {"findings", to_json(report.findings)}};
}

Json::Object to_json(const FixReport& report, const std::filesystem::path& output) {
  Json::Array adapters;
  for (const auto& adapter : report.adapters) {
    Json::Array fixed;
    for (const auto& thing : adapter.fixed) {
      fixed.push_back(Json::Object{
          {"what", thing.what}, {"message", thing.message}, {"tensors", thing.tensors}});
    }
    adapters.push_back(Json::Object{{"folder", adapter.folder},
                                    {"mended", std::move(fixed)},
                                    {"left", to_json(adapter.remaining)}});
  }
  return {{"good", report.good()},
          {"written", report.good()},
          {"directory", output.string()},
          {"in_place", report.in_place},
          {"adapters", std::move(adapters)}};
}

Json::Object to_json(const StrengthReport& report, const Adapter& adapter) {
  Json::Array modules;
  for (const auto& [path, resolved] : report.modules) {
    modules.push_back(Json::Object{{"module", path},
                                   {"strength", real_json(resolved.strength)},
                                   {"rank", real_json(resolved.rank)},
                                   {"alpha", real_json(resolved.alpha)},
                                   {"rule", resolved.rule}});
  }
  Json::Array patterns;
  for (const auto& use : report.patterns) {
    patterns.push_back(Json::Object{{"field", use.field},
                                    {"pattern", use.pattern},
                                    {"value", real_json(use.value)},
                                    {"modules", use.modules}});
  }
  return {{"path", adapter.directory().string()},
          {"peft_type", adapter.config().peft_type()},
          {"modules", std::move(modules)},
          {"patterns", std::move(patterns)},
          {"findings", to_json(adapter.findings())}};
}

Json::Object to_json(const NormalizeReport& report, const std::filesystem::path& output) {
  return {{"directory", output.string()},
          {"in_place", report.in_place},
          {"weights_file", report.weights_file},
          {"rank", report.rank},
          {"modules", report.modules},
          {"padded", report.padded},
          {"folded", report.folded},
          {"exact", report.exact},
          {"largest_relative_error", real_json(report.largest_relative_error)},
          {"worst_module", report.worst_module.empty() ? Json() : Json(report.worst_module)},
          {"copied", names(report.copied)},
          {"findings", to_json(report.findings)}};
}

Json::Object to_json(const DiffReport& report, const std::filesystem::path& a,
                     const std::filesystem::path& b, bool tensors) {
  Json::Object fields{{"a", a.string()}, {"b", b.string()}};
  add_measure(fields, report.measure);
  Json::Array modules;
  for (const auto& module : report.modules) modules.push_back(module_json(module, tensors));
  fields.emplace_back("modules", std::move(modules));
  Json::Array config;
  for (const auto& field : report.config) {
    config.push_back(Json::Object{
        {"field", field.field}, {"a", field.a.value_or(Json())}, {"b", field.b.value_or(Json())}});
  }
  fields.emplace_back("config", std::move(config));
  fields.emplace_back("findings", to_json(report.findings));
  return fields;
}

Json::Object to_json(const ConvertReport& report, const std::filesystem::path& output) {
  Json::Array adapters;
  for (const auto& adapter : report.adapters) {
    adapters.push_back(Json::Object{{"folder", adapter.folder},
                                    {"from", adapter.from},
                                    {"to", adapter.to},
                                    {"tensor_count", adapter.tensors},
                                    {"from_bytes", adapter.from_bytes},
                                    {"copied", names(adapter.copied)}});
  }
  return {{"directory", output.string()},
          {"in_place", report.in_place},
          {"adapters", std::move(adapters)}};
}

Json::Object to_json(const MergeReport& report, const std::filesystem::path& output) {
  Json::Array files;
  std::uint64_t changed = 0;
  for (const auto& file : report.files) {
    changed += file.changed.size();
    files.emplace_back(Json::Object{{"file", file.name},
                                    {"bytes", Json(file.bytes)},
                                    {"changed", names(file.changed)},
                                    {"added", names(file.added)},
                                    {"linked", Json(file.linked)},
                                    {"resumed", Json(file.resumed)}});
  }
  return {{"output", output.string()},
          {"in_place", Json(report.in_place)},
          {"modules", Json(report.modules)},
          {"changed_tensors", Json(changed)},
          {"untied", Json(report.untied)},
          {"bytes_written", Json(report.bytes_written)},
          {"files", std::move(files)},
          {"copied", names(report.copied)},
          {"left_out", names(report.left_out)},
          {"findings", to_json(std::span<const Finding>(report.findings))}};
}

Json::Object to_json(const SaveReport& report) {
  Json::Array adapters;
  std::uint64_t saved_bytes = 0;
  for (const auto& adapter : report.adapters) {
    saved_bytes += adapter.file_bytes;
    adapters.push_back(Json::Object{{"name", adapter.name},
                                    {"directory", adapter.directory.string()},
                                    {"peft_type", adapter.peft_type},
                                    {"tensor_count", adapter.tensors},
                                    {"parameters", adapter.parameters},
                                    {"file_bytes", adapter.file_bytes},
                                    {"files", names(adapter.files)}});
  }
  Json::Array left_out;
  for (const auto& item : report.left_out) {
    left_out.push_back(Json::Object{{"key", item.key}, {"why", item.why}});
  }
  return {{"adapters", std::move(adapters)},
          {"state_bytes", report.state_bytes},
          {"saved_bytes", saved_bytes},
          {"left_out", std::move(left_out)},
          {"findings", to_json(report.findings)}};
}

Json report_document(Json::Object fields) {
  fields.insert(fields.begin(), {"version", 1});
  return fields;
}

}  // namespace ferrule
