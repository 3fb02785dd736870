// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ferrule/error.hpp"
#include "ferrule/result.hpp"
#include "io/file_identity.hpp"

namespace ferrule::io {

/// The names in a directory by what they are, in no order. FIFOs, devices, sockets and links that
/// lead nowhere are not listed.
struct Listing {
  std::vector<std::string> files;  ///< Regular files, and links to them.
  std::vector<std::string> directories;
  std::vector<std::string> linked;  ///< Links to directories.
  std::vector<std::string> ours;    ///< What belongs to saves and is left out of the others.
  /// As of before it was listed.
  FileIdentity identity;
  /// The directory itself, open while a walk visits it; -1 otherwise.
  int fd = -1;
};

/// What to do with files and folders that belong to a save (TX-8).
enum class Stages : std::uint8_t {
  kSkip,        ///< Leave them out: they are not adapters.
  kSkipLocked,  ///< Leave them out if a saver is at work on them. A name alone hides nothing.
};

Result<Listing> list_by_kind(const std::filesystem::path& directory, Stages stages = Stages::kSkip);

struct WalkResult {
  std::uint64_t directories = 0;
  /// Directories below the root that could not be listed, sorted by path.
  std::vector<Error> unreadable;
};

/// Called for a directory, from several threads at once.
using Visit = std::function<void(const std::filesystem::path&, const Listing&)>;

/// Directories in one parent that are about to be listed.
struct Unlisted {
  int at = -1;              ///< An open directory, or AT_FDCWD.
  std::string_view way;     ///< Comes before a name to reach it from `at`.
  std::string_view prefix;  ///< Comes before a name to make its path.
  std::span<const std::string> names;
};

/// Asked before directories are opened, from several threads at once. Sets the identities of those
/// that need not be listed; one for each name.
using Known = std::function<void(const Unlisted&, std::span<std::optional<FileIdentity>>)>;

struct WalkOptions {
  /// 0: as many as there are cores.
  unsigned threads = 0;
  Stages stages = Stages::kSkip;
  Known known = {};
};

/// Lists `root` and every directory below it and visits each once: directories behind links come
/// after all others, unless they were visited already or contain `root`, so that the walk ends.
/// Fails if `root` itself cannot be listed.
Result<WalkResult> walk_directories(const std::filesystem::path& root, const Visit& visit,
                                    const WalkOptions& options = {});

}  // namespace ferrule::io
