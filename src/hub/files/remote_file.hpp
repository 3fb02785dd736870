// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ferrule/result.hpp"

namespace ferrule::hub {

/// A listing that needs more pages is refused: nothing that is shipped has so many files.
inline constexpr int kMaxPages = 100;

/// A file that a repository or store has, as it lists the file.
struct RemoteFile {
  std::string path;
  std::uint64_t size = 0;
  std::string blob = {};    ///< Git's SHA-1 of it, or of a large file's pointer.
  std::string sha256 = {};  ///< Of a large file; empty for others.
  std::string xet = {};     ///< Its name in Xet, if it has one.

  bool large() const noexcept { return !sha256.empty(); }
  /// The digest that its content is checked by, and its name in the cache.
  const std::string& etag() const noexcept { return large() ? sha256 : blob; }
};

/// Fails with HB-12 unless each digest has the right number of hexadecimal digits.
Result<void> check_hashes(const RemoteFile& file);

/// Sorts by path. Fails with HB-14 if a path leads out of its folder, is listed twice, or is a file
/// that another path uses as a folder.
Result<void> check_listing(std::vector<RemoteFile>& files);

/// The files with these paths, or all if `wanted` is empty. Fails with HB-8 if one is missing;
/// `where` is the repository, for the message.
Result<std::vector<RemoteFile>> choose_files(const std::vector<RemoteFile>& all,
                                             const std::vector<std::string>& wanted,
                                             const std::string& where);

}  // namespace ferrule::hub
