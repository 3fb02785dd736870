// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "ferrule/error.hpp"
#include "ferrule/export.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/read_limits.hpp"

namespace ferrule {

/// What verify() found.
struct [[nodiscard]] VerifyReport {
  /// Errors first. No findings means good; so do notes and warnings alone.
  std::vector<Finding> findings;
  /// The I/O error that prevented a verdict (no such path, permission), as opposed to bad data.
  std::optional<Error> system_error;
  bool good() const noexcept { return !system_error && !has_error(findings); }
};

/// Judges a path: a directory as an adapter, with the adapters in folders below it (all CF, KY, AD,
/// ST, TZ, PK and MC rules), adapter_config.json as a config, any other file as a container. Never
/// fails: what prevents reading is a finding or `system_error`.
///
/// May be called from any number of threads at once.
FERRULE_API VerifyReport verify(const std::filesystem::path& path, const OpenOptions& options = {});

}  // namespace ferrule
