// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "ferrule/result.hpp"
#include "io/open_regular.hpp"
#include "io/unique_fd.hpp"

namespace ferrule::io {

/// A regular file opened for reading, without ever blocking: FIFOs, devices, sockets and
/// directories are refused (kUnsupported), a symlink to a regular file is followed, a loop of them
/// is kIo.
class InputFile {
 public:
  /// Fails with kNotFound, kIo or kUnsupported.
  static Result<InputFile> open(const std::filesystem::path& path);

  std::uint64_t size() const noexcept { return file_.size; }
  const std::filesystem::path& path() const noexcept { return path_; }
  int fd() const noexcept { return file_.fd.get(); }
  const OpenedFile& opened() const noexcept { return file_; }

  /// Fills `out` from `offset`. Short reads and EINTR are carried on; a file that ends early
  /// (truncated since open) is kCorrupt.
  Result<void> read_at(std::uint64_t offset, std::span<std::byte> out) const;

  /// The whole file as text; kLimitExceeded if it is larger than `limit`.
  Result<std::string> read_text(std::uint64_t limit) const;

 private:
  friend class DirectoryReader;
  InputFile(OpenedFile file, std::filesystem::path path) noexcept
      : file_(std::move(file)), path_(std::move(path)) {}

  OpenedFile file_;
  std::filesystem::path path_;
};

}  // namespace ferrule::io
