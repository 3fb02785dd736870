// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
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

  /// True if a finding mentions this text.
  bool mentions(std::string_view text) const;

  /// `base_model` replaces that of the template if there is one.
  AdapterSummary in(std::filesystem::path directory,
                    std::optional<std::string_view> base_model = std::nullopt) const;
};

}  // namespace ferrule::adapter
