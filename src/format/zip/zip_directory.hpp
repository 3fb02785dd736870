// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"
#include "format/byte_source.hpp"

namespace ferrule::format {

/// One entry of a zip archive whose two headers agree.
struct ZipEntry {
  std::string name;
  std::uint64_t header_offset = 0;
  std::uint64_t data_offset = 0;
  /// In the archive; the same as `bytes` where it is stored.
  std::uint64_t packed_bytes = 0;
  std::uint64_t bytes = 0;
  std::uint32_t crc32 = 0;
  std::uint16_t method = 0;
  bool is_stored() const noexcept { return method == 0; }
  bool is_directory() const noexcept { return !name.empty() && name.back() == '/'; }
};

inline constexpr std::uint16_t kZipStored = 0;
inline constexpr std::uint16_t kZipDeflated = 8;

/// What an archive may contain beyond what every reader of zip files agrees on.
enum class ZipProfile : std::uint8_t {
  /// As torch writes it: stored entries that follow each other from the first byte to the central
  /// directory, no comment.
  kTorch,
  /// Any archive of stored or deflated entries. A scan uses it.
  kAny,
};

/// Reads the central directory and checks it against the local headers (rules TZ-1 to TZ-9), in
/// the order of the data in the archive. Reads headers only, no content.
/// Fails with kCorrupt, kUnsupported or kLimitExceeded, or as the source fails.
Result<std::vector<ZipEntry>> read_zip_directory(const ByteSource& source, ZipProfile profile,
                                                 const ReadLimits& limits);

}  // namespace ferrule::format
