// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <utility>

#include "ferrule/report_json.hpp"

namespace ferrule {
namespace {

constexpr std::array kOutOfScope = {
    "remote code (Python files, \"auto_map\" in configs)",
    "templates (chat_template in tokenizer files)",
};

Json severity_json(const std::optional<ScanSeverity>& severity) {
  return severity ? Json(scan_severity_name(*severity)) : Json();
}

Json file_json(const JudgedFile& judged) {
  const auto& file = judged.file;
  Json::Array hits;
  for (const auto& hit : file.hits) {
    hits.push_back(Json::Object{{"severity", scan_severity_name(hit.severity)},
                                {"entry", hit.entry},
                                {"offset", hit.offset},
                                {"opcode", hit.opcode},
                                {"global", hit.global.empty() ? Json() : Json(hit.global)},
                                {"why", hit.why}});
  }
  Json::Array gaps;
  for (const auto& gap : file.gaps) {
    gaps.push_back(
        Json::Object{{"entry", gap.entry}, {"rule", gap.rule}, {"message", gap.message}});
  }
  return Json::Object{{"path", file.path.string()},
                      {"severity", severity_json(judged.severity)},
                      {"examined", file.examined},
                      {"pickles", file.pickles},
                      {"allowed", judged.allowed},
                      {"would_run", std::move(hits)},
                      {"not_read", std::move(gaps)},
                      {"error", file.system_error ? to_json(*file.system_error) : Json()}};
}

}  // namespace

Json::Object to_json(const ScanReport& report) {
  Json::Array files;
  for (const auto& judged : report.files) files.push_back(file_json(judged));
  return {{"good", report.good()},
          {"verdict", report.verdict()},
          {"counts", Json::Object{{"files", report.files.size()},
                                  {"pickles", report.pickles},
                                  {"not_examined", report.not_examined},
                                  {"dangerous", report.dangerous},
                                  {"unknown", report.unknown},
                                  {"training_state", report.training_state},
                                  {"errors", report.errors}}},
          {"out_of_scope", Json::Array(kOutOfScope.begin(), kOutOfScope.end())},
          {"files", std::move(files)}};
}

}  // namespace ferrule
