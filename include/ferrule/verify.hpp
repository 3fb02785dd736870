// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ferrule/error.hpp"
#include "ferrule/export.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/read_limits.hpp"

namespace ferrule {

struct VerifyOptions {
  VerifyOptions() = default;
  // Implicit, for callers that set only limits or backing.
  VerifyOptions(OpenOptions open_options) : open(std::move(open_options)) {}

  OpenOptions open = {};
  /// Read every value too: NaN and Inf (AD-20) and an update that is zero (AD-21) are errors.
  bool values = false;
  /// The content id that the adapter must have (content_id()), or empty. Another one is an error
  /// (AD-30), and so is a path that is a file.
  std::string id = {};
  /// How many threads may work at once, the caller's included; 1 starts none, 0 means one for each
  /// core. They divide the folders.
  unsigned threads = 1;
  /// Called from one thread at a time, now and then, with the adapters verified so far.
  std::function<void(std::uint64_t adapters)> progress = {};
};

/// What verify() found.
struct [[nodiscard]] VerifyReport {
  /// Errors first; `path` names the adapter or the file. Without findings, or with only
  /// notes and warnings, the path is good.
  std::vector<Finding> findings;
  /// The first I/O error (no such path, permission), as opposed to bad data: something could not be
  /// opened, so there is no verdict on it.
  std::optional<Error> system_error;
  /// All of them: of adapters, and of folders that could not be listed.
  std::vector<Error> unreadable;
  /// Adapters that were opened or tried; 1 for a path that is an adapter without others below it,
  /// or a file.
  std::uint64_t verified = 0;
  /// Those of them that have an error or could not be opened.
  std::uint64_t bad = 0;

  bool good() const noexcept { return !system_error && !has_error(findings); }
};

/// Verifies a path: a directory as an adapter, with the adapters in all folders below it (all CF,
/// KY, AD, ST, TZ, PK and MC rules), adapter_config.json as a config, any other file as a
/// container. A folder without adapters is bad. Hidden folders and targets of links are
/// included, as inspect_folder() does. Never fails: what prevents reading is a finding or in
/// `unreadable`.
///
/// May be called from any number of threads at once.
FERRULE_API VerifyReport verify(const std::filesystem::path& path,
                                const VerifyOptions& options = {});

}  // namespace ferrule
