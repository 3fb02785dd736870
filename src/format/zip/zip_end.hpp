// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "ferrule/error.hpp"
#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"
#include "format/byte_source.hpp"
#include "format/zip/zip_directory.hpp"

namespace ferrule::format {

inline constexpr std::uint64_t kCentralBytes = 46;
inline constexpr std::uint32_t kAllOnes32 = 0xffffffff;

/// What the end records of a zip archive say: where the central directory is.
struct ZipDirectoryPlace {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint64_t entries = 0;
};

/// Reads the end records, zip64 ones included (TZ-1 to TZ-5). What they say is checked against the
/// file's size and the limits, before anything of that size is read.
Result<ZipDirectoryPlace> find_zip_directory(const ByteSource& source, ZipProfile profile,
                                             const ReadLimits& limits);

}  // namespace ferrule::format
