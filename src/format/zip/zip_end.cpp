// SPDX-License-Identifier: Apache-2.0
#include "format/zip/zip_end.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "base/checked.hpp"
#include "base/errors.hpp"
#include "base/try.hpp"

namespace ferrule::format {
namespace {

constexpr std::uint32_t kEndSignature = 0x06054b50;      // APPNOTE.TXT 4.3.16
constexpr std::uint32_t kEnd64Signature = 0x06064b50;    // 4.3.14
constexpr std::uint32_t kLocatorSignature = 0x07064b50;  // 4.3.15
constexpr std::uint64_t kEndBytes = 22;
constexpr std::uint64_t kEnd64Bytes = 56;
constexpr std::uint64_t kLocatorBytes = 20;
constexpr std::uint64_t kMaxComment = 65535;
constexpr std::uint16_t kAllOnes16 = 0xffff;

class EndParser {
 public:
  EndParser(const ByteSource& source, ZipProfile profile, const ReadLimits& limits)
      : source_(source), profile_(profile), limits_(limits) {}

  Result<ZipDirectoryPlace> parse() const {
    FERRULE_TRY(const auto end_offset, find_end());
    return read_end(end_offset);
  }

 private:
  /// TZ-1. Every reader of zip files searches from the end for the last signature, so that one
  /// counts.
  Result<std::uint64_t> find_end() const {
    const std::uint64_t size = source_.size();
    if (size < kEndBytes) {
      return base::corrupt("TZ-1",
                           "no end record: a zip archive has at least 22 bytes, this file has " +
                               std::to_string(size));
    }
    const std::uint64_t window = std::min(size, kEndBytes + kMaxComment);
    FERRULE_TRY(const auto tail, source_.read(size - window, window));
    for (std::uint64_t at = window - kEndBytes + 1; at-- > 0;) {
      if (load_le<std::uint32_t>(tail, at) != kEndSignature) continue;
      const std::uint64_t comment = load_le<std::uint16_t>(tail, at + 20);
      const std::uint64_t behind = window - at - kEndBytes;
      if (comment != behind) {
        return base::corrupt("TZ-1", "the end record at offset " +
                                         std::to_string(size - window + at) +
                                         " announces a comment of " + std::to_string(comment) +
                                         " bytes, but " + std::to_string(behind) + " bytes follow");
      }
      if (behind != 0 && profile_ == ZipProfile::kTorch) {
        return base::corrupt("TZ-1", "the archive ends with a comment of " +
                                         std::to_string(behind) + " bytes; torch writes none");
      }
      return size - window + at;
    }
    return base::corrupt(
        "TZ-1",
        "no end record in the last " + std::to_string(window) +
            " bytes: the file is cut short (an interrupted download?) or not a zip archive");
  }

  Result<ZipDirectoryPlace> read_end(std::uint64_t end_offset) const {
    FERRULE_TRY(const auto end, source_.read(end_offset, kEndBytes));
    const auto disk = load_le<std::uint16_t>(end, 4);
    const auto directory_disk = load_le<std::uint16_t>(end, 6);
    const auto entries_here = load_le<std::uint16_t>(end, 8);
    ZipDirectoryPlace narrow{.offset = load_le<std::uint32_t>(end, 16),
                             .bytes = load_le<std::uint32_t>(end, 12),
                             .entries = load_le<std::uint16_t>(end, 10)};
    if ((disk != 0 && disk != kAllOnes16) ||
        (directory_disk != 0 && directory_disk != kAllOnes16) || entries_here != narrow.entries) {
      return base::unsupported("TZ-3", "a part of a multi-disk archive");
    }
    std::uint64_t directory_end = end_offset;
    ZipDirectoryPlace place = narrow;
    FERRULE_TRY(const bool has_locator, has_locator_before(end_offset));
    if (has_locator) {
      FERRULE_TRY(place, read_end64(end_offset));
      FERRULE_CHECK(check_agreement(narrow, place));
      directory_end = end_offset - kLocatorBytes - kEnd64Bytes;
    } else if (narrow.entries == kAllOnes16 || narrow.bytes == kAllOnes32 ||
               narrow.offset == kAllOnes32) {
      return base::corrupt("TZ-2",
                           "the end record refers to a zip64 end record, but there is none");
    }
    return check_place(place, directory_end);
  }

  Result<bool> has_locator_before(std::uint64_t end_offset) const {
    if (end_offset < kLocatorBytes) return false;
    FERRULE_TRY(const auto locator, source_.read(end_offset - kLocatorBytes, 4));
    return load_le<std::uint32_t>(locator, 0) == kLocatorSignature;
  }

  Result<ZipDirectoryPlace> read_end64(std::uint64_t end_offset) const {
    if (end_offset < kLocatorBytes + kEnd64Bytes) {
      return base::corrupt("TZ-2", "a zip64 locator without room for its end record");
    }
    const std::uint64_t expected = end_offset - kLocatorBytes - kEnd64Bytes;
    FERRULE_TRY(const auto bytes, source_.read(expected, kEnd64Bytes + kLocatorBytes));
    const auto offset = load_le<std::uint64_t>(bytes, kEnd64Bytes + 8);
    if (offset != expected || load_le<std::uint32_t>(bytes, 0) != kEnd64Signature ||
        load_le<std::uint64_t>(bytes, 4) != kEnd64Bytes - 12) {
      return base::corrupt("TZ-2", "the zip64 locator points to offset " + std::to_string(offset) +
                                       "; a zip64 end record of 56 bytes must be at offset " +
                                       std::to_string(expected) + ", right before the locator");
    }
    const auto entries_here = load_le<std::uint64_t>(bytes, 24);
    const auto entries = load_le<std::uint64_t>(bytes, 32);
    if (load_le<std::uint32_t>(bytes, kEnd64Bytes + 4) != 0 ||
        load_le<std::uint32_t>(bytes, kEnd64Bytes + 16) > 1 ||
        load_le<std::uint32_t>(bytes, 16) != 0 || load_le<std::uint32_t>(bytes, 20) != 0 ||
        entries_here != entries) {
      return base::unsupported("TZ-3", "a part of a multi-disk archive");
    }
    return ZipDirectoryPlace{.offset = load_le<std::uint64_t>(bytes, 48),
                             .bytes = load_le<std::uint64_t>(bytes, 40),
                             .entries = entries};
  }

  /// TZ-2: a field that is not all ones says the same in both end records.
  static Result<void> check_agreement(const ZipDirectoryPlace& narrow,
                                      const ZipDirectoryPlace& wide) {
    if ((narrow.entries == kAllOnes16 || narrow.entries == wide.entries) &&
        (narrow.bytes == kAllOnes32 || narrow.bytes == wide.bytes) &&
        (narrow.offset == kAllOnes32 || narrow.offset == wide.offset)) {
      return {};
    }
    return base::corrupt("TZ-2",
                         "the end record and the zip64 end record disagree about the central "
                         "directory (" +
                             std::to_string(narrow.entries) + " and " +
                             std::to_string(wide.entries) + " entries at offsets " +
                             std::to_string(narrow.offset) + " and " + std::to_string(wide.offset) +
                             ")");
  }

  /// TZ-4: the directory fills the room up to the end records. TZ-5: bounded before it is read.
  Result<ZipDirectoryPlace> check_place(const ZipDirectoryPlace& place,
                                        std::uint64_t directory_end) const {
    if (place.bytes > limits_.header_bytes || place.entries > limits_.tensors) {
      return base::over_limit("TZ-5", "a central directory of " + std::to_string(place.entries) +
                                          " entries and " + std::to_string(place.bytes) +
                                          " bytes; the limits are " +
                                          std::to_string(limits_.tensors) + " and " +
                                          std::to_string(limits_.header_bytes));
    }
    const auto end = base::checked_add(place.offset, place.bytes);
    if (!end || *end != directory_end) {
      return base::corrupt(
          "TZ-4", "the central directory should take " + std::to_string(place.bytes) +
                      " bytes from offset " + std::to_string(place.offset) +
                      ", but the end records start at offset " + std::to_string(directory_end));
    }
    const auto least = base::checked_mul(place.entries, kCentralBytes);
    if (!least || *least > place.bytes) {
      return base::corrupt("TZ-4", std::to_string(place.entries) +
                                       " entries do not fit a central " + "directory of " +
                                       std::to_string(place.bytes) + " bytes");
    }
    return place;
  }

  const ByteSource& source_;
  ZipProfile profile_;
  const ReadLimits& limits_;
};

}  // namespace

Result<ZipDirectoryPlace> find_zip_directory(const ByteSource& source, ZipProfile profile,
                                             const ReadLimits& limits) {
  return EndParser(source, profile, limits).parse();
}

}  // namespace ferrule::format
