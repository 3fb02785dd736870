// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "ferrule/report_json.hpp"

namespace ferrule {

Json::Object to_json(const VerifyReport& report, const std::filesystem::path& path) {
  Json::Array unreadable;
  for (const auto& error : report.unreadable) unreadable.push_back(to_json(error));
  return {{"path", path.string()},
          {"good", report.good()},
          {"verified", report.verified},
          {"bad", report.bad},
          {"findings", to_json(report.findings)},
          {"unreadable", std::move(unreadable)},
          {"error", report.system_error ? to_json(*report.system_error) : Json()}};
}

Json::Object to_json(std::span<const VerifyReport> reports,
                     std::span<const std::filesystem::path> paths) {
  std::uint64_t verified = 0;
  std::uint64_t bad = 0;
  Json::Array entries;
  for (std::size_t i = 0; i < reports.size(); ++i) {
    verified += reports[i].verified;
    bad += reports[i].bad;
    entries.push_back(to_json(reports[i], paths[i]));
  }
  return {{"good", std::all_of(reports.begin(), reports.end(),
                               [](const VerifyReport& report) { return report.good(); })},
          {"verified", verified},
          {"bad", bad},
          {"paths", std::move(entries)}};
}

}  // namespace ferrule
