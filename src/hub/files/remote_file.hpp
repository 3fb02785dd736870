// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ferrule/result.hpp"

namespace ferrule::hub {

/// A file of a commit, as the Hub lists it.
struct RemoteFile {
  std::string path;
  std::uint64_t size = 0;
  std::string blob = {};    ///< Git's name for it; of a large file, for its pointer.
  std::string sha256 = {};  ///< Of a large file.
  std::string xet = {};     ///< Its name in Xet, where it has one.

  bool large() const noexcept { return !sha256.empty(); }
  /// What its content is checked by, and called in the cache.
  const std::string& etag() const noexcept { return large() ? sha256 : blob; }
};

/// Fails with HB-12 where a digest is not made of the right number of hexadecimal digits.
Result<void> check_hashes(const RemoteFile& file);

/// Names that would overwrite each other or stand in each other's way are refused (HB-14).
Result<void> check_listing(std::vector<RemoteFile>& files);

/// Those that are wanted by name, all where none is named. Fails with HB-8.
Result<std::vector<RemoteFile>> choose_files(const std::vector<RemoteFile>& all,
                                             const std::vector<std::string>& wanted,
                                             const std::string& where);

}  // namespace ferrule::hub
