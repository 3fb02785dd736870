// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "ferrule/result.hpp"
#include "io/file_identity.hpp"
#include "io/unique_fd.hpp"

namespace ferrule::io {

struct OpenedFile {
  UniqueFd fd;
  std::uint64_t size = 0;
  FileIdentity identity = {};
};

/// Opens `name` (relative to `dir`) for reading if it is a regular file or a link to one, without
/// ever blocking. `path` is what errors call it. Fails with kNotFound, kIo or kUnsupported.
Result<OpenedFile> open_regular(int dir, const char* name, const std::filesystem::path& path);

/// Fills `out` from `offset`; kCorrupt if the file ends too early.
Result<void> read_fully(int fd, std::uint64_t offset, std::span<std::byte> out,
                        const std::filesystem::path& path);

/// The whole content; kLimitExceeded if it is more than `limit` bytes.
Result<std::string> read_opened(const OpenedFile& file, std::uint64_t limit,
                                const std::filesystem::path& path);

}  // namespace ferrule::io
