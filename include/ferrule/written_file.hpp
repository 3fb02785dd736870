// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace ferrule {

/// A file that was just written, and what it holds, so that callers need not read it again.
/// Valid as long as device, inode, size and modification time are the same.
struct WrittenFile {
  std::filesystem::path path;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t modified_ns = 0;
  /// Of the content, 64 hexadecimal digits.
  std::string sha256;
  /// What git calls the content, 40 digits; empty for weights.
  std::string git_blob;
};

}  // namespace ferrule
