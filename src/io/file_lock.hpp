// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>

#include "ferrule/result.hpp"
#include "io/unique_fd.hpp"

namespace ferrule::io {

/// An exclusive flock on a file made for it, as Python's filelock takes it: the holder of the lock
/// of the same file keeps others out, and a file that a dead holder left keeps no one out. The
/// file stays when the lock goes.
class FileLock {
 public:
  /// nullopt if another holds it. Creates the file (mode 0664 less the umask) in a folder that
  /// exists. On file systems that have no such locks the lock has no effect.
  static Result<std::optional<FileLock>> try_acquire(const std::filesystem::path& path);

 private:
  explicit FileLock(UniqueFd fd) noexcept : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace ferrule::io
