// SPDX-License-Identifier: Apache-2.0
#include "adapter/summary_template.hpp"

#include <string>
#include <utility>

#include "ferrule/file_names.hpp"

namespace ferrule::adapter {
namespace {

std::string path_in(const std::filesystem::path& directory, FindingPlace place) {
  switch (place) {
    case FindingPlace::kNone:
      return {};
    case FindingPlace::kDirectory:
      return directory.string();
    case FindingPlace::kConfig:
      return (directory / kConfigFile).string();
    case FindingPlace::kWeights:
      return (directory / kSafetensorsFile).string();
  }
  return {};
}

std::optional<FindingPlace> place_of(const std::string& path,
                                     const std::filesystem::path& directory) {
  for (const auto place : {FindingPlace::kNone, FindingPlace::kWeights, FindingPlace::kConfig,
                           FindingPlace::kDirectory}) {
    if (path == path_in(directory, place)) return place;
  }
  return std::nullopt;
}

}  // namespace

std::optional<SummaryTemplate> SummaryTemplate::of(const AdapterSummary& summary) {
  if (summary.system_error) return std::nullopt;
  const auto& directory = summary.directory;
  SummaryTemplate made{summary, {}};
  if (made.mentions(directory.native())) return std::nullopt;
  made.summary.directory.clear();
  for (auto& finding : made.summary.findings) {
    const auto place = place_of(finding.path, directory);
    if (!place) return std::nullopt;
    made.places.push_back(*place);
    finding.path.clear();
  }
  return made;
}

bool SummaryTemplate::mentions(std::string_view text) const {
  for (const auto& finding : summary.findings) {
    for (const auto* field : {&finding.key, &finding.message, &finding.advice, &finding.module}) {
      if (field->find(text) != std::string::npos) return true;
    }
  }
  return false;
}

AdapterSummary SummaryTemplate::in(std::filesystem::path directory,
                                   std::optional<std::string_view> base_model) const {
  auto made = summary;
  made.directory = std::move(directory);
  if (base_model) made.base_model = std::string(*base_model);
  for (std::size_t i = 0; i < places.size(); ++i) {
    made.findings[i].path = path_in(made.directory, places[i]);
  }
  return made;
}

}  // namespace ferrule::adapter
