// SPDX-License-Identifier: Apache-2.0
#include "format/zip_directory.hpp"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "base/checked.hpp"
#include "base/quote.hpp"
#include "base/try.hpp"
#include "base/utf8.hpp"

namespace ferrule::format {
namespace {

constexpr std::uint32_t kLocalSignature = 0x04034b50;
constexpr std::uint32_t kDescriptorSignature = 0x08074b50;
constexpr std::uint32_t kCentralSignature = 0x02014b50;
constexpr std::uint32_t kEndSignature = 0x06054b50;
constexpr std::uint32_t kEnd64Signature = 0x06064b50;
constexpr std::uint32_t kLocatorSignature = 0x07064b50;
constexpr std::uint64_t kLocalBytes = 30;
constexpr std::uint64_t kCentralBytes = 46;
constexpr std::uint64_t kEndBytes = 22;
constexpr std::uint64_t kEnd64Bytes = 56;
constexpr std::uint64_t kLocatorBytes = 20;
constexpr std::uint64_t kMaxComment = 65535;
constexpr std::uint16_t kAllOnes16 = 0xffff;
constexpr std::uint32_t kAllOnes32 = 0xffffffff;
constexpr std::uint16_t kFlagEncrypted = 0x0001;
constexpr std::uint16_t kFlagDeflateLevel = 0x0006;
constexpr std::uint16_t kFlagDescriptor = 0x0008;
constexpr std::uint16_t kFlagUtf8 = 0x0800;
constexpr std::uint16_t kExtraZip64 = 0x0001;
constexpr std::uint16_t kExtraUnicodePath = 0x7075;

Error corrupt(std::string rule, std::string message) {
  return {.code = ErrorCode::kCorrupt, .rule = std::move(rule), .message = std::move(message)};
}

Error unsupported(std::string rule, std::string message) {
  return {.code = ErrorCode::kUnsupported, .rule = std::move(rule), .message = std::move(message)};
}

/// What the end records say: where the central directory is.
struct DirectoryPlace {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint64_t entries = 0;
};

/// The size and offset fields of a header after its zip64 extra field was applied.
struct WideFields {
  std::uint64_t bytes = 0;
  std::uint64_t packed_bytes = 0;
  std::uint64_t header_offset = 0;
};

struct CentralEntry {
  ZipEntry entry;
  std::uint16_t flags = 0;
};

class DirectoryParser {
 public:
  DirectoryParser(const ByteSource& source, ZipProfile profile, const ReadLimits& limits)
      : source_(source), profile_(profile), limits_(limits) {}

  Result<std::vector<ZipEntry>> parse() {
    FERRULE_TRY(const auto end_offset, find_end());
    FERRULE_TRY(place_, read_end(end_offset));
    FERRULE_TRY(auto central, read_central());
    std::sort(central.begin(), central.end(), [](const auto& a, const auto& b) {
      return a.entry.header_offset < b.entry.header_offset;
    });
    FERRULE_CHECK(check_names(central));
    FERRULE_CHECK(check_places(central));
    std::vector<ZipEntry> entries;
    entries.reserve(central.size());
    for (auto& item : central) entries.push_back(std::move(item.entry));
    return entries;
  }

 private:
  Result<std::vector<std::byte>> read(std::uint64_t offset, std::uint64_t bytes) const {
    std::vector<std::byte> out(static_cast<std::size_t>(bytes));
    FERRULE_CHECK(source_.read_at(offset, out));
    return out;
  }

  /// TZ-1. Every reader of zip files searches from the end for the last signature, so that one
  /// counts.
  Result<std::uint64_t> find_end() const {
    const std::uint64_t size = source_.size();
    if (size < kEndBytes) {
      return corrupt("TZ-1", "no end record: a zip archive has at least 22 bytes, this file has " +
                                 std::to_string(size));
    }
    const std::uint64_t window = std::min(size, kEndBytes + kMaxComment);
    FERRULE_TRY(const auto tail, read(size - window, window));
    for (std::uint64_t at = window - kEndBytes + 1; at-- > 0;) {
      if (load_le<std::uint32_t>(tail, at) != kEndSignature) continue;
      const std::uint64_t comment = load_le<std::uint16_t>(tail, at + 20);
      const std::uint64_t behind = window - at - kEndBytes;
      if (comment != behind) {
        return corrupt("TZ-1", "the end record at offset " + std::to_string(size - window + at) +
                                   " announces a comment of " + std::to_string(comment) +
                                   " bytes, but " + std::to_string(behind) + " bytes follow");
      }
      if (behind != 0 && profile_ == ZipProfile::kTorch) {
        return corrupt("TZ-1", "the archive ends with a comment of " + std::to_string(behind) +
                                   " bytes; torch writes none");
      }
      return size - window + at;
    }
    return corrupt(
        "TZ-1", "no end record in the last " + std::to_string(window) +
                    " bytes: the file is cut short (an interrupted download?) or no zip archive");
  }

  Result<DirectoryPlace> read_end(std::uint64_t end_offset) const {
    FERRULE_TRY(const auto end, read(end_offset, kEndBytes));
    const auto disk = load_le<std::uint16_t>(end, 4);
    const auto directory_disk = load_le<std::uint16_t>(end, 6);
    const auto entries_here = load_le<std::uint16_t>(end, 8);
    DirectoryPlace narrow{.offset = load_le<std::uint32_t>(end, 16),
                          .bytes = load_le<std::uint32_t>(end, 12),
                          .entries = load_le<std::uint16_t>(end, 10)};
    if ((disk != 0 && disk != kAllOnes16) ||
        (directory_disk != 0 && directory_disk != kAllOnes16) || entries_here != narrow.entries) {
      return unsupported("TZ-3", "a part of a multi-disk archive");
    }
    std::uint64_t directory_end = end_offset;
    DirectoryPlace place = narrow;
    FERRULE_TRY(const bool has_locator, has_locator_before(end_offset));
    if (has_locator) {
      FERRULE_TRY(place, read_end64(end_offset));
      FERRULE_CHECK(check_agreement(narrow, place));
      directory_end = end_offset - kLocatorBytes - kEnd64Bytes;
    } else if (narrow.entries == kAllOnes16 || narrow.bytes == kAllOnes32 ||
               narrow.offset == kAllOnes32) {
      return corrupt("TZ-2", "the end record refers to a zip64 end record, but there is none");
    }
    return check_place(place, directory_end);
  }

  Result<bool> has_locator_before(std::uint64_t end_offset) const {
    if (end_offset < kLocatorBytes) return false;
    FERRULE_TRY(const auto locator, read(end_offset - kLocatorBytes, 4));
    return load_le<std::uint32_t>(locator, 0) == kLocatorSignature;
  }

  Result<DirectoryPlace> read_end64(std::uint64_t end_offset) const {
    if (end_offset < kLocatorBytes + kEnd64Bytes) {
      return corrupt("TZ-2", "a zip64 locator without room for its end record");
    }
    const std::uint64_t expected = end_offset - kLocatorBytes - kEnd64Bytes;
    FERRULE_TRY(const auto bytes, read(expected, kEnd64Bytes + kLocatorBytes));
    const auto offset = load_le<std::uint64_t>(bytes, kEnd64Bytes + 8);
    if (offset != expected || load_le<std::uint32_t>(bytes, 0) != kEnd64Signature ||
        load_le<std::uint64_t>(bytes, 4) != kEnd64Bytes - 12) {
      return corrupt("TZ-2", "the zip64 locator points to offset " + std::to_string(offset) +
                                 "; a zip64 end record of 56 bytes must stand at offset " +
                                 std::to_string(expected) + ", right before the locator");
    }
    const auto entries_here = load_le<std::uint64_t>(bytes, 24);
    const auto entries = load_le<std::uint64_t>(bytes, 32);
    if (load_le<std::uint32_t>(bytes, kEnd64Bytes + 4) != 0 ||
        load_le<std::uint32_t>(bytes, kEnd64Bytes + 16) > 1 ||
        load_le<std::uint32_t>(bytes, 16) != 0 || load_le<std::uint32_t>(bytes, 20) != 0 ||
        entries_here != entries) {
      return unsupported("TZ-3", "a part of a multi-disk archive");
    }
    return DirectoryPlace{.offset = load_le<std::uint64_t>(bytes, 48),
                          .bytes = load_le<std::uint64_t>(bytes, 40),
                          .entries = entries};
  }

  /// TZ-2: a field that is not all ones says the same in both end records.
  static Result<void> check_agreement(const DirectoryPlace& narrow, const DirectoryPlace& wide) {
    if ((narrow.entries == kAllOnes16 || narrow.entries == wide.entries) &&
        (narrow.bytes == kAllOnes32 || narrow.bytes == wide.bytes) &&
        (narrow.offset == kAllOnes32 || narrow.offset == wide.offset)) {
      return {};
    }
    return corrupt("TZ-2",
                   "the end record and the zip64 end record disagree about the central "
                   "directory (" +
                       std::to_string(narrow.entries) + " and " + std::to_string(wide.entries) +
                       " entries at offsets " + std::to_string(narrow.offset) + " and " +
                       std::to_string(wide.offset) + ")");
  }

  /// TZ-4: the directory fills the room up to the end records. TZ-5: bounded before it is read.
  Result<DirectoryPlace> check_place(const DirectoryPlace& place,
                                     std::uint64_t directory_end) const {
    if (place.bytes > limits_.header_bytes || place.entries > limits_.tensors) {
      return Error{.code = ErrorCode::kLimitExceeded,
                   .rule = "TZ-5",
                   .message = "a central directory of " + std::to_string(place.entries) +
                              " entries and " + std::to_string(place.bytes) +
                              " bytes; the limits are " + std::to_string(limits_.tensors) +
                              " and " + std::to_string(limits_.header_bytes)};
    }
    const auto end = base::checked_add(place.offset, place.bytes);
    if (!end || *end != directory_end) {
      return corrupt("TZ-4", "the central directory should take " + std::to_string(place.bytes) +
                                 " bytes from offset " + std::to_string(place.offset) +
                                 ", but the end records start at offset " +
                                 std::to_string(directory_end));
    }
    const auto least = base::checked_mul(place.entries, kCentralBytes);
    if (!least || *least > place.bytes) {
      return corrupt("TZ-4", std::to_string(place.entries) + " entries do not fit a central " +
                                 "directory of " + std::to_string(place.bytes) + " bytes");
    }
    return place;
  }

  Result<std::vector<CentralEntry>> read_central() const {
    FERRULE_TRY(const auto bytes, read(place_.offset, place_.bytes));
    std::vector<CentralEntry> entries;
    entries.reserve(static_cast<std::size_t>(place_.entries));
    std::uint64_t at = 0;
    for (std::uint64_t i = 0; i < place_.entries; ++i) {
      if (place_.bytes - at < kCentralBytes ||
          load_le<std::uint32_t>(bytes, at) != kCentralSignature) {
        return corrupt("TZ-4", "no central directory entry at offset " +
                                   std::to_string(place_.offset + at) + ", where entry " +
                                   std::to_string(i) + " of " + std::to_string(place_.entries) +
                                   " should be");
      }
      FERRULE_TRY(auto entry, read_central_entry(bytes, at));
      entries.push_back(std::move(entry));
    }
    if (at != place_.bytes) {
      return corrupt("TZ-4", std::to_string(place_.bytes - at) +
                                 " bytes of the central directory belong to no entry");
    }
    return entries;
  }

  /// Reads the entry at `at` and moves `at` behind it.
  Result<CentralEntry> read_central_entry(std::span<const std::byte> bytes,
                                          std::uint64_t& at) const {
    const auto header = bytes.subspan(at);
    const std::uint64_t name_bytes = load_le<std::uint16_t>(header, 28);
    const std::uint64_t extra_bytes = load_le<std::uint16_t>(header, 30);
    const std::uint64_t comment_bytes = load_le<std::uint16_t>(header, 32);
    const std::uint64_t total = kCentralBytes + name_bytes + extra_bytes + comment_bytes;
    if (total > header.size()) {
      return corrupt("TZ-4", "the central directory entry at offset " +
                                 std::to_string(place_.offset + at) + " does not end inside it");
    }
    CentralEntry result;
    ZipEntry& entry = result.entry;
    entry.name.assign(reinterpret_cast<const char*>(header.data()) + kCentralBytes, name_bytes);
    result.flags = load_le<std::uint16_t>(header, 8);
    entry.method = load_le<std::uint16_t>(header, 10);
    entry.crc32 = load_le<std::uint32_t>(header, 16);
    if (load_le<std::uint16_t>(header, 34) != 0) {
      return unsupported("TZ-3", "entry " + base::quote(entry.name) + " lies on another disk");
    }
    WideFields fields{.bytes = load_le<std::uint32_t>(header, 24),
                      .packed_bytes = load_le<std::uint32_t>(header, 20),
                      .header_offset = load_le<std::uint32_t>(header, 42)};
    FERRULE_CHECK(
        apply_extra(header.subspan(kCentralBytes + name_bytes, extra_bytes), entry.name, fields));
    entry.bytes = fields.bytes;
    entry.packed_bytes = fields.packed_bytes;
    entry.header_offset = fields.header_offset;
    FERRULE_CHECK(check_method(result));
    at += total;
    return result;
  }

  /// Walks the extra fields and widens what is all ones in `fields`.
  static Result<void> apply_extra(std::span<const std::byte> extra, std::string_view name,
                                  WideFields& fields) {
    std::size_t at = 0;
    bool seen_zip64 = false;
    while (extra.size() - at >= 4) {
      const auto id = load_le<std::uint16_t>(extra, at);
      const std::size_t length = load_le<std::uint16_t>(extra, at + 2);
      if (length > extra.size() - at - 4) break;
      at += 4;
      if (id == kExtraUnicodePath) {
        return unsupported("TZ-9", "entry " + base::quote(name) +
                                       " carries a second name in an extra field: readers would "
                                       "disagree about what it is called");
      }
      if (id == kExtraZip64) {
        if (seen_zip64)
          return corrupt("TZ-6", "entry " + base::quote(name) + " has two zip64 fields");
        seen_zip64 = true;
        FERRULE_CHECK(widen(extra.subspan(at, length), name, fields));
      }
      at += length;
    }
    if (at != extra.size()) {
      return corrupt("TZ-6", "the extra fields of entry " + base::quote(name) +
                                 " do not fill the room announced for them");
    }
    if (!seen_zip64 && (fields.bytes == kAllOnes32 || fields.packed_bytes == kAllOnes32 ||
                        fields.header_offset == kAllOnes32)) {
      return corrupt("TZ-6", "entry " + base::quote(name) + " lacks its zip64 field");
    }
    return {};
  }

  static Result<void> widen(std::span<const std::byte> field, std::string_view name,
                            WideFields& fields) {
    std::size_t at = 0;
    for (std::uint64_t* value : {&fields.bytes, &fields.packed_bytes, &fields.header_offset}) {
      if (*value != kAllOnes32) continue;
      if (field.size() - at < 8) {
        return corrupt("TZ-6", "the zip64 field of entry " + base::quote(name) + " is too short");
      }
      *value = load_le<std::uint64_t>(field, at);
      at += 8;
    }
    return {};
  }

  /// TZ-7.
  Result<void> check_method(const CentralEntry& item) const {
    const auto& entry = item.entry;
    if ((item.flags & kFlagEncrypted) != 0) {
      return unsupported("TZ-7", "entry " + base::quote(entry.name) + " is encrypted");
    }
    const bool deflated = entry.method == kZipDeflated;
    if (!entry.is_stored() && (!deflated || profile_ == ZipProfile::kTorch)) {
      return unsupported("TZ-7", "entry " + base::quote(entry.name) + " is compressed (method " +
                                     std::to_string(entry.method) +
                                     (profile_ == ZipProfile::kTorch
                                          ? "); torch stores without compression: was this archive "
                                            "made again by another program?"
                                          : "); only stored and deflated entries are read"));
    }
    const unsigned known = kFlagDescriptor | kFlagUtf8 | (deflated ? kFlagDeflateLevel : 0U);
    if ((item.flags & ~known) != 0) {
      return unsupported("TZ-7", "entry " + base::quote(entry.name) + " has the unknown flags " +
                                     std::to_string(item.flags & ~known));
    }
    if (entry.is_stored() && entry.bytes != entry.packed_bytes) {
      return corrupt("TZ-7", "entry " + base::quote(entry.name) + " is stored, but its sizes are " +
                                 std::to_string(entry.packed_bytes) + " and " +
                                 std::to_string(entry.bytes));
    }
    return {};
  }

  /// TZ-9.
  static Result<void> check_names(const std::vector<CentralEntry>& central) {
    std::unordered_set<std::string> folded;
    folded.reserve(central.size());
    for (const auto& item : central) {
      const auto& name = item.entry.name;
      if (const auto* why = what_is_wrong(item.entry); why != nullptr) {
        return corrupt("TZ-9", "entry " + base::quote(name) + ": " + why);
      }
      std::string key = name;
      for (char& c : key) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
      }
      if (!folded.insert(std::move(key)).second) {
        return corrupt("TZ-9", "two entries are called " + base::quote(name) +
                                   " (torch does not tell upper case from lower): which of them "
                                   "counts is anyone's guess");
      }
    }
    return {};
  }

  static const char* what_is_wrong(const ZipEntry& entry) {
    const std::string& name = entry.name;
    if (name.empty()) return "the name is empty";
    if (!base::is_utf8(name)) return "the name is no UTF-8";
    if (name.front() == '/') return "the name is absolute";
    for (const char c : name) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte < 0x20 || byte == 0x7f) return "the name has a control character";
      if (c == '\\') return "the name has a backslash";
    }
    std::size_t start = 0;
    while (start < name.size()) {
      const auto end = std::min(name.find('/', start), name.size());
      const auto part = std::string_view(name).substr(start, end - start);
      if (part.empty() || part == "." || part == "..") return "the name is no plain path";
      start = end + 1;
    }
    if (entry.is_directory() && entry.bytes != 0) return "a folder with content";
    return nullptr;
  }

  /// TZ-6 and TZ-8: local headers agree; entries follow each other.
  Result<void> check_places(std::vector<CentralEntry>& central) const {
    std::uint64_t previous_end = 0;
    std::string_view previous;
    for (auto& item : central) {
      auto& entry = item.entry;
      if (entry.header_offset < previous_end) {
        return corrupt("TZ-8", "entry " + base::quote(entry.name) + " starts at offset " +
                                   std::to_string(entry.header_offset) + ", inside entry " +
                                   base::quote(previous) + ", which ends at " +
                                   std::to_string(previous_end));
      }
      FERRULE_TRY(const auto end, check_local(item));
      if (entry.header_offset != previous_end && profile_ == ZipProfile::kTorch) {
        return corrupt("TZ-8", "the bytes from " + std::to_string(previous_end) + " to " +
                                   std::to_string(entry.header_offset) + ", before entry " +
                                   base::quote(entry.name) + ", belong to no entry");
      }
      previous_end = end;
      previous = entry.name;
    }
    if (previous_end != place_.offset && profile_ == ZipProfile::kTorch) {
      return corrupt("TZ-8", "the bytes from " + std::to_string(previous_end) + " to " +
                                 std::to_string(place_.offset) +
                                 ", before the central directory, belong to no entry");
    }
    return {};
  }

  /// Where the entry ends, its descriptor included.
  Result<std::uint64_t> check_local(CentralEntry& item) const {
    auto& entry = item.entry;
    const auto disagree = [&entry](const std::string& what) {
      return corrupt("TZ-6", "the local header of entry " + base::quote(entry.name) +
                                 " at offset " + std::to_string(entry.header_offset) + " " + what);
    };
    if (entry.header_offset > place_.offset || place_.offset - entry.header_offset < kLocalBytes) {
      return disagree("does not lie before the central directory at " +
                      std::to_string(place_.offset));
    }
    const std::uint64_t room = place_.offset - entry.header_offset;
    const std::uint64_t likely = kLocalBytes + entry.name.size() + 4 + 64;
    FERRULE_TRY(auto header, read(entry.header_offset, std::min(room, likely)));
    if (load_le<std::uint32_t>(header, 0) != kLocalSignature) return disagree("is not there");
    const std::uint64_t name_bytes = load_le<std::uint16_t>(header, 26);
    const std::uint64_t extra_bytes = load_le<std::uint16_t>(header, 28);
    const std::uint64_t total = kLocalBytes + name_bytes + extra_bytes;
    if (total > room || entry.packed_bytes > room - total) {
      return disagree("and its " + std::to_string(entry.packed_bytes) +
                      " bytes do not end before the central directory at " +
                      std::to_string(place_.offset));
    }
    if (header.size() < total) {
      FERRULE_TRY(header, read(entry.header_offset, total));
    }
    const std::string_view name(reinterpret_cast<const char*>(header.data()) + kLocalBytes,
                                name_bytes);
    if (name != entry.name) return disagree("calls it " + base::quote(name));
    if (load_le<std::uint16_t>(header, 8) != entry.method) return disagree("has another method");
    if (load_le<std::uint16_t>(header, 6) != item.flags) return disagree("has other flags");
    WideFields local{.bytes = load_le<std::uint32_t>(header, 22),
                     .packed_bytes = load_le<std::uint32_t>(header, 18)};
    const auto extra = std::span(header).subspan(kLocalBytes + name_bytes, extra_bytes);
    FERRULE_CHECK(apply_extra(extra, entry.name, local));
    const auto crc = load_le<std::uint32_t>(header, 14);
    const bool deferred = (item.flags & kFlagDescriptor) != 0;
    const bool blank = deferred && crc == 0 && local.bytes == 0 && local.packed_bytes == 0;
    if (!blank && (crc != entry.crc32 || local.bytes != entry.bytes ||
                   local.packed_bytes != entry.packed_bytes)) {
      return disagree("has another size or checksum");
    }
    entry.data_offset = entry.header_offset + total;
    const std::uint64_t data_end = entry.data_offset + entry.packed_bytes;
    if (!deferred) return data_end;
    return check_descriptor(entry, data_end);
  }

  Result<std::uint64_t> check_descriptor(const ZipEntry& entry, std::uint64_t at) const {
    const std::uint64_t room = std::min<std::uint64_t>(place_.offset - at, 24);
    FERRULE_TRY(const auto bytes, read(at, room));
    const bool starts = room >= 16 && load_le<std::uint32_t>(bytes, 0) == kDescriptorSignature &&
                        load_le<std::uint32_t>(bytes, 4) == entry.crc32;
    if (starts && load_le<std::uint32_t>(bytes, 8) == entry.packed_bytes &&
        load_le<std::uint32_t>(bytes, 12) == entry.bytes) {
      return at + 16;
    }
    if (starts && room == 24 && load_le<std::uint64_t>(bytes, 8) == entry.packed_bytes &&
        load_le<std::uint64_t>(bytes, 16) == entry.bytes) {
      return at + 24;
    }
    return corrupt("TZ-6",
                   "entry " + base::quote(entry.name) +
                       " promises a data descriptor, but none that agrees stands at offset " +
                       std::to_string(at));
  }

  const ByteSource& source_;
  ZipProfile profile_;
  const ReadLimits& limits_;
  DirectoryPlace place_;
};

}  // namespace

Result<std::vector<ZipEntry>> read_zip_directory(const ByteSource& source, ZipProfile profile,
                                                 const ReadLimits& limits) {
  return DirectoryParser(source, profile, limits).parse();
}

}  // namespace ferrule::format
