// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "ferrule/error.hpp"
#include "ferrule/result.hpp"

namespace ferrule::io {

/// The names in a directory by what they are, in no order. FIFOs, devices, sockets and links that
/// lead nowhere or to a directory are in neither list.
struct Listing {
  std::vector<std::string> files;  ///< Regular files, and links to them.
  std::vector<std::string> directories;
};

Result<Listing> list_by_kind(const std::filesystem::path& directory);

struct WalkResult {
  std::uint64_t directories = 0;
  /// Directories below the root that could not be listed, sorted by path.
  std::vector<Error> unreadable;
};

/// Lists `root` and every directory below it on `threads` threads (0: as many as there are cores)
/// and calls `visit` for each, from several threads at once. Links to directories are not followed,
/// so that the walk ends. Fails where `root` itself cannot be listed.
Result<WalkResult> walk_directories(
    const std::filesystem::path& root, unsigned threads,
    const std::function<void(const std::filesystem::path&, const Listing&)>& visit);

}  // namespace ferrule::io
