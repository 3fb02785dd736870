// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "ferrule/inspect.hpp"

namespace ferrule::adapter {

/// Which path a finding has.
enum class FindingPlace : std::uint8_t { kNone, kDirectory, kConfig, kWeights };

/// The summary of all adapters with the same config, header and size: all of it but the directory.
struct SummaryTemplate {
  AdapterSummary summary;
  /// Parallel to the findings of the summary, whose paths are empty.
  std::vector<FindingPlace> places;

  /// nullopt if the summary names its directory in a way that is not known here.
  static std::optional<SummaryTemplate> of(const AdapterSummary& summary);

  AdapterSummary in(const std::filesystem::path& directory) const;
};

}  // namespace ferrule::adapter
