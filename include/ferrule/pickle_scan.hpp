// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/error.hpp"
#include "ferrule/export.hpp"
#include "ferrule/file_kind.hpp"
#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"

namespace ferrule {

/// How bad something is that unpickling would import or call.
enum class ScanSeverity : std::uint8_t {
  /// Known from what trainers write next to a checkpoint (training_args.bin, rng_state.pth): builds
  /// enumerations, settings and arrays.
  kTrainingState,
  /// Nothing is known about it, or the file could not be read to its end.
  kUnknown,
  /// Runs commands or code, reaches files or the network, or any function by its name.
  kDangerous,
};

/// "training_state", "unknown" or "dangerous".
FERRULE_API std::string_view scan_severity_name(ScanSeverity severity) noexcept;

/// Something that would run code if the file were unpickled: a global that is not on the list of
/// what a state dict needs, or an opcode that can reach one.
struct ScanHit {
  /// The entry of an archive that holds the pickle ("archive/data.pkl", "a.zip!b.pkl"), raw; empty
  /// for a bare pickle.
  std::string entry;
  /// Of the opcode, in bytes from the start of the entry or file.
  std::uint64_t offset = 0;
  /// As Python's pickletools calls it: "GLOBAL", "STACK_GLOBAL", "INST", "EXT1" ...
  std::string opcode;
  /// "os.system", raw; empty if it is computed.
  std::string global;
  /// In words; names in it are quoted.
  std::string why;
  ScanSeverity severity = ScanSeverity::kUnknown;
};

/// A part that could not be read to its end: what it would run is not known.
struct ScanGap {
  std::string entry;
  /// The TZ or PK rule that it breaks; may be empty.
  std::string rule;
  std::string message;
};

struct ScannedFile {
  std::filesystem::path path;
  FileKind kind = FileKind::kUnknown;
  /// Those that were read to their end.
  std::uint64_t pickles = 0;
  /// True if the file is of a kind that is looked into; false for source code, HDF5, text and
  /// everything else that is not known.
  bool examined = false;
  std::vector<ScanHit> hits;
  std::vector<ScanGap> gaps;
  /// The I/O error that prevented an answer.
  std::optional<Error> system_error;

  /// The worst of the hits; a gap counts as kUnknown. nullopt if there is none of either.
  FERRULE_API std::optional<ScanSeverity> severity() const noexcept;
  /// Nothing would run, and all of it was read. Says nothing of a file that was not examined.
  bool harmless() const noexcept { return !system_error && hits.empty() && gaps.empty(); }
};

/// Lists the code that unpickling the file would run, by reading it as data. An allow-list decides:
/// what is not known to be harmless is reported. Never fails: what prevents reading is in the
/// result.
FERRULE_API ScannedFile scan_file(const std::filesystem::path& path,
                                  const OpenOptions& options = {});

/// The same for the content of a file that is in memory; `name` is only put into the result.
FERRULE_API ScannedFile scan_bytes(std::span<const std::byte> bytes,
                                   const std::filesystem::path& name,
                                   const OpenOptions& options = {});

/// The same for every file in a folder and below it, sorted by path; for a file, that one. The
/// content decides what is looked into, never the name. Links are followed, each folder is visited
/// once; a save in progress is left out.
/// May be called from any number of threads at once.
/// Fails with kNotFound or kIo if `path` itself cannot be listed.
FERRULE_API Result<std::vector<ScannedFile>> scan(const std::filesystem::path& path,
                                                  const OpenOptions& options = {});

}  // namespace ferrule
