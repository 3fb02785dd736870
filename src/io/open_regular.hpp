// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>

#include "ferrule/result.hpp"
#include "io/unique_fd.hpp"

namespace ferrule::io {

struct OpenedFile {
  UniqueFd fd;
  std::uint64_t size = 0;
};

/// Opens `name` (relative to `dir`) for reading if it is a regular file or a link to one, without
/// ever blocking. `path` is what errors call it. Fails with kNotFound, kIo or kUnsupported.
Result<OpenedFile> open_regular(int dir, const char* name, const std::filesystem::path& path);

}  // namespace ferrule::io
