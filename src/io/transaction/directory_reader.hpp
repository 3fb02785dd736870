// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ferrule/result.hpp"
#include "io/input_file.hpp"
#include "io/unique_fd.hpp"

namespace ferrule::io {

/// TX-11: a directory opened once, so that all files read through it belong to one generation even
/// where a save swaps the directory meanwhile. A redo record that a crashed save left behind is
/// applied on opening (docs/rules/TX.md).
class DirectoryReader {
 public:
  /// Fails with kNotFound, kIo, or kUnsupported if `path` is not a directory.
  static Result<DirectoryReader> open(const std::filesystem::path& path);

  const std::filesystem::path& path() const noexcept { return path_; }
  /// Only to name things in it.
  int fd() const noexcept { return fd_.get(); }

  /// The file of that plain name in this directory, or nullopt if there is none. As
  /// InputFile::open otherwise.
  Result<std::optional<InputFile>> open_file(std::string_view name) const;

  /// Names in the directory, sorted; hidden ones included, "." and ".." not.
  Result<std::vector<std::string>> names() const;

  /// True if `path` now leads to another directory than the one opened: read again.
  bool was_replaced() const;

 private:
  DirectoryReader(UniqueFd fd, std::filesystem::path path) noexcept
      : fd_(std::move(fd)), path_(std::move(path)) {}

  UniqueFd fd_;
  std::filesystem::path path_;
};

}  // namespace ferrule::io
