// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/export.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/pickle_scan.hpp"

namespace ferrule {

/// The least severity that fails a scan.
enum class ScanFailOn : std::uint8_t { kDangerous, kUnknown, kAny };

/// What a scan accepts.
struct ScanPolicy {
  /// Globs (`*` and `?`) of paths or names of files, and of names of globals.
  std::vector<std::string> allow = {};
  ScanFailOn fail_on = ScanFailOn::kUnknown;
};

/// A file without what the policy allows.
struct JudgedFile {
  ScannedFile file;
  /// Hits and gaps that were allowed.
  std::uint64_t allowed = 0;
  std::optional<ScanSeverity> severity;
  bool fails = false;
};

/// Scanned files, rated and counted.
struct FERRULE_API ScanReport {
  std::vector<JudgedFile> files;
  std::uint64_t pickles = 0;
  /// Files that were opened and not looked into.
  std::uint64_t not_examined = 0;
  /// Files by their worst severity.
  std::uint64_t dangerous = 0;
  std::uint64_t unknown = 0;
  std::uint64_t training_state = 0;
  /// Files that could not be opened.
  std::uint64_t errors = 0;
  bool failed = false;

  /// Rates the file and appends it.
  void add(ScannedFile file, const ScanPolicy& policy);

  bool good() const noexcept { return errors == 0 && !failed; }
  /// "error", "dangerous", "unknown", "training_state" or "clean": the worst of all files.
  std::string_view verdict() const noexcept;
  /// Hits (PK-3) and gaps as findings, in the order of the files.
  std::vector<Finding> findings() const;
};

}  // namespace ferrule
