// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstdint>
#include <filesystem>
#include <utility>

namespace ferrule {

/// Where the bytes of a tensor are in a file, for a program that reads them by its own means:
/// direct I/O, pinned memory, a GPU.
struct FileRange {
  /// As it was opened; empty if the file is the caller's own memory (from_bytes()).
  std::filesystem::path path = {};
  /// From the start of the file.
  std::uint64_t offset = 0;
  /// In bytes; 0 for a tensor without elements.
  std::uint64_t length = 0;
  /// The largest power of two that divides `offset`.
  std::uint64_t alignment = 1;

  static FileRange at(std::filesystem::path path, std::uint64_t offset, std::uint64_t length) {
    const std::uint64_t alignment =
        offset == 0 ? std::uint64_t{1} << 63 : std::uint64_t{1} << std::countr_zero(offset);
    return {std::move(path), offset, length, alignment};
  }
};

}  // namespace ferrule
