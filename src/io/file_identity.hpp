// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>

#include "ferrule/result.hpp"

namespace ferrule::io {

/// Which content a file had when it was looked at: any write changes one of these.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

FileIdentity identity_of(const struct stat& info) noexcept;
/// Of an open file.
Result<FileIdentity> identity_of(int fd, const std::filesystem::path& path);

}  // namespace ferrule::io
