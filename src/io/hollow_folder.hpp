// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "ferrule/result.hpp"
#include "io/save_control.hpp"

namespace ferrule::io {

/// A temporary folder of small files, and of large ones of which only the beginning is there: the
/// rest is a hole that takes no room. Goes with the object.
class HollowFolder {
 public:
  static Result<HollowFolder> make();
  HollowFolder(HollowFolder&& other) noexcept
      : path_(std::move(other.path_)), mark_(std::move(other.mark_)) {
    other.path_.clear();
  }
  HollowFolder& operator=(HollowFolder&&) = delete;
  ~HollowFolder();

  const std::filesystem::path& path() const noexcept { return path_; }

  /// A file of `size` bytes that begins with `head`.
  Result<void> write(const std::string& name, std::string_view head, std::uint64_t size) const;
  Result<void> copy(const std::filesystem::path& from, const std::string& name) const;

 private:
  explicit HollowFolder(std::filesystem::path path)
      : path_(std::move(path)), mark_(std::make_unique<SaveMark>()) {}
  std::filesystem::path path_;
  std::unique_ptr<SaveMark> mark_;  // A program that is told to stop removes the folder first.
};

}  // namespace ferrule::io
