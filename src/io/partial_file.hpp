// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "ferrule/result.hpp"
#include "io/folder.hpp"
#include "io/unique_fd.hpp"

namespace ferrule::io {

/// A file that grows at its end, over the lives of several processes.
class PartialFile {
 public:
  /// Opens or creates `name`. A link in its place is refused.
  static Result<PartialFile> open(const Folder& folder, const std::string& name);

  std::uint64_t size() const noexcept { return size_; }
  int fd() const noexcept { return fd_.get(); }
  const std::filesystem::path& path() const noexcept { return path_; }

  Result<void> append(std::span<const std::byte> bytes);
  /// Cuts it to nothing.
  Result<void> clear();
  /// On the disk when this returns.
  Result<void> flush() const;

 private:
  PartialFile(UniqueFd fd, std::filesystem::path path, std::uint64_t size) noexcept
      : fd_(std::move(fd)), path_(std::move(path)), size_(size) {}

  UniqueFd fd_;
  std::filesystem::path path_;
  std::uint64_t size_;
};

/// Adds a line to a file that several processes add lines to; never a torn one. If there is no
/// file yet it gets that mode, less the umask.
Result<void> append_line(const Folder& folder, const std::string& name, std::string_view line,
                         mode_t mode = 0666);

}  // namespace ferrule::io
