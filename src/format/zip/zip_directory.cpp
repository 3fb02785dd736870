// SPDX-License-Identifier: Apache-2.0
// The directory of a zip archive. Section numbers are those of APPNOTE.TXT 6.3 by PKWARE; rules are
// in docs/rules/TZ.md.
//
//   [local header 4.3.7][name][extra][data][data descriptor 4.3.9]   one for each entry
//   ...
//   [central header 4.3.12][name][extra][comment]                    one for each entry
//   ...
//   [zip64 end record 4.3.14][zip64 locator 4.3.15]                  in large archives
//   [end record 4.3.16][comment]                                     the end of the file
//
// 1. Find the end record, and from it the central directory: zip_end.cpp (TZ-1 to TZ-5).
// 2. Read every central header; sizes and offsets of 0xffffffff are in its zip64 field (TZ-6).
// 3. Refuse what readers take in different ways: encryption, methods other than stored and deflated
//    (TZ-7), names that are not plain paths or appear twice (TZ-9).
// 4. Compare each entry with its local header, and its data descriptor if it has one (TZ-6).
// 5. Check that entries neither overlap nor, in torch's archives, leave gaps (TZ-8).
#include "format/zip/zip_directory.hpp"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "base/checked.hpp"
#include "base/errors.hpp"
#include "base/try.hpp"
#include "base/utf8.hpp"
#include "ferrule/text.hpp"
#include "format/zip/zip_end.hpp"

namespace ferrule::format {
namespace {

constexpr std::uint32_t kLocalSignature = 0x04034b50;       // 4.3.7
constexpr std::uint64_t kLocalBytes = 30;                   // Without name and extra fields.
constexpr std::uint32_t kDescriptorSignature = 0x08074b50;  // 4.3.9.3
constexpr std::uint32_t kCentralSignature = 0x02014b50;     // 4.3.12
// General purpose bits, 4.4.4.
constexpr std::uint16_t kFlagEncrypted = 0x0001;
constexpr std::uint16_t kFlagDeflateLevel = 0x0006;
constexpr std::uint16_t kFlagDescriptor = 0x0008;
constexpr std::uint16_t kFlagUtf8 = 0x0800;
// Extra fields.
constexpr std::uint16_t kExtraZip64 = 0x0001;        // 4.5.3
constexpr std::uint16_t kExtraUnicodePath = 0x7075;  // 4.6.9

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

const char* what_is_wrong(const ZipEntry& entry) {
  const std::string& name = entry.name;
  if (name.empty()) return "the name is empty";
  if (!base::is_utf8(name)) return "the name is not UTF-8";
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
    if (part.empty() || part == "." || part == "..") return "the name is not a plain path";
    start = end + 1;
  }
  if (entry.is_directory() && entry.bytes != 0) return "a folder with content";
  return nullptr;
}

/// TZ-9.
Result<void> check_names(const std::vector<CentralEntry>& central) {
  std::unordered_set<std::string> folded;
  folded.reserve(central.size());
  for (const auto& item : central) {
    const auto& name = item.entry.name;
    if (const auto* why = what_is_wrong(item.entry); why != nullptr) {
      return base::corrupt("TZ-9", "entry " + quote(name) + ": " + why);
    }
    std::string key = name;
    for (char& c : key) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    if (!folded.insert(std::move(key)).second) {
      return base::corrupt("TZ-9",
                           "two entries are called " + quote(name) +
                               " (torch does not tell upper case from lower): which of them "
                               "counts is anyone's guess");
    }
  }
  return {};
}

class DirectoryParser {
 public:
  DirectoryParser(const ByteSource& source, ZipProfile profile, const ReadLimits& limits)
      : source_(source), profile_(profile), limits_(limits) {}

  Result<std::vector<ZipEntry>> parse() {
    FERRULE_TRY(place_, find_zip_directory(source_, profile_, limits_));
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
  Result<std::vector<CentralEntry>> read_central() const {
    FERRULE_TRY(const auto bytes, source_.read(place_.offset, place_.bytes));
    std::vector<CentralEntry> entries;
    entries.reserve(static_cast<std::size_t>(place_.entries));
    std::uint64_t at = 0;
    for (std::uint64_t i = 0; i < place_.entries; ++i) {
      if (place_.bytes - at < kCentralBytes ||
          load_le<std::uint32_t>(bytes, at) != kCentralSignature) {
        return base::corrupt("TZ-4", "no central directory entry at offset " +
                                         std::to_string(place_.offset + at) + ", where entry " +
                                         std::to_string(i) + " of " +
                                         std::to_string(place_.entries) + " should be");
      }
      FERRULE_TRY(auto entry, read_central_entry(bytes, at));
      entries.push_back(std::move(entry));
    }
    if (at != place_.bytes) {
      return base::corrupt("TZ-4", std::to_string(place_.bytes - at) +
                                       " bytes of the central directory belong to no entry");
    }
    return entries;
  }

  /// Reads the entry at `at` and moves `at` after it.
  Result<CentralEntry> read_central_entry(std::span<const std::byte> bytes,
                                          std::uint64_t& at) const {
    const auto header = bytes.subspan(at);
    const std::uint64_t name_bytes = load_le<std::uint16_t>(header, 28);
    const std::uint64_t extra_bytes = load_le<std::uint16_t>(header, 30);
    const std::uint64_t comment_bytes = load_le<std::uint16_t>(header, 32);
    const std::uint64_t total = kCentralBytes + name_bytes + extra_bytes + comment_bytes;
    if (total > header.size()) {
      return base::corrupt("TZ-4", "the central directory entry at offset " +
                                       std::to_string(place_.offset + at) +
                                       " does not end inside it");
    }
    CentralEntry result;
    ZipEntry& entry = result.entry;
    entry.name.assign(reinterpret_cast<const char*>(header.data()) + kCentralBytes, name_bytes);
    result.flags = load_le<std::uint16_t>(header, 8);
    entry.method = load_le<std::uint16_t>(header, 10);
    entry.crc32 = load_le<std::uint32_t>(header, 16);
    if (load_le<std::uint16_t>(header, 34) != 0) {
      return base::unsupported("TZ-3", "entry " + quote(entry.name) + " is on another disk");
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
        return base::unsupported("TZ-9",
                                 "entry " + quote(name) +
                                     " carries a second name in an extra field: readers would "
                                     "disagree about what it is called");
      }
      if (id == kExtraZip64) {
        if (seen_zip64)
          return base::corrupt("TZ-6", "entry " + quote(name) + " has two zip64 fields");
        seen_zip64 = true;
        FERRULE_CHECK(widen(extra.subspan(at, length), name, fields));
      }
      at += length;
    }
    if (at != extra.size()) {
      return base::corrupt("TZ-6", "the extra fields of entry " + quote(name) +
                                       " do not fill the room announced for them");
    }
    if (!seen_zip64 && (fields.bytes == kAllOnes32 || fields.packed_bytes == kAllOnes32 ||
                        fields.header_offset == kAllOnes32)) {
      return base::corrupt("TZ-6", "entry " + quote(name) + " does not have its zip64 field");
    }
    return {};
  }

  static Result<void> widen(std::span<const std::byte> field, std::string_view name,
                            WideFields& fields) {
    std::size_t at = 0;
    for (std::uint64_t* value : {&fields.bytes, &fields.packed_bytes, &fields.header_offset}) {
      if (*value != kAllOnes32) continue;
      if (field.size() - at < 8) {
        return base::corrupt("TZ-6", "the zip64 field of entry " + quote(name) + " is too short");
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
      return base::unsupported("TZ-7", "entry " + quote(entry.name) + " is encrypted");
    }
    const bool deflated = entry.method == kZipDeflated;
    if (!entry.is_stored() && (!deflated || profile_ == ZipProfile::kTorch)) {
      return base::unsupported("TZ-7",
                               "entry " + quote(entry.name) + " is compressed (method " +
                                   std::to_string(entry.method) +
                                   (profile_ == ZipProfile::kTorch
                                        ? "); torch stores without compression: was this archive "
                                          "made again by another program?"
                                        : "); only stored and deflated entries are read"));
    }
    const unsigned known = kFlagDescriptor | kFlagUtf8 | (deflated ? kFlagDeflateLevel : 0U);
    if ((item.flags & ~known) != 0) {
      return base::unsupported("TZ-7", "entry " + quote(entry.name) + " has the unknown flags " +
                                           std::to_string(item.flags & ~known));
    }
    if (entry.is_stored() && entry.bytes != entry.packed_bytes) {
      return base::corrupt("TZ-7", "entry " + quote(entry.name) + " is stored, but its sizes are " +
                                       std::to_string(entry.packed_bytes) + " and " +
                                       std::to_string(entry.bytes));
    }
    return {};
  }

  /// TZ-6 and TZ-8: local headers agree; entries follow each other.
  Result<void> check_places(std::vector<CentralEntry>& central) const {
    std::uint64_t previous_end = 0;
    std::string_view previous;
    for (auto& item : central) {
      auto& entry = item.entry;
      if (entry.header_offset < previous_end) {
        return base::corrupt("TZ-8", "entry " + quote(entry.name) + " starts at offset " +
                                         std::to_string(entry.header_offset) + ", inside entry " +
                                         quote(previous) + ", which ends at " +
                                         std::to_string(previous_end));
      }
      FERRULE_TRY(const auto end, check_local(item));
      if (entry.header_offset != previous_end && profile_ == ZipProfile::kTorch) {
        return base::corrupt("TZ-8", "the bytes from " + std::to_string(previous_end) + " to " +
                                         std::to_string(entry.header_offset) + ", before entry " +
                                         quote(entry.name) + ", belong to no entry");
      }
      previous_end = end;
      previous = entry.name;
    }
    if (previous_end != place_.offset && profile_ == ZipProfile::kTorch) {
      return base::corrupt("TZ-8", "the bytes from " + std::to_string(previous_end) + " to " +
                                       std::to_string(place_.offset) +
                                       ", before the central directory, belong to no entry");
    }
    return {};
  }

  /// Where the entry ends, its descriptor included.
  Result<std::uint64_t> check_local(CentralEntry& item) const {
    auto& entry = item.entry;
    const auto disagree = [&entry](const std::string& what) {
      return base::corrupt("TZ-6", "the local header of entry " + quote(entry.name) +
                                       " at offset " + std::to_string(entry.header_offset) + " " +
                                       what);
    };
    if (entry.header_offset > place_.offset || place_.offset - entry.header_offset < kLocalBytes) {
      return disagree("does not lie before the central directory at " +
                      std::to_string(place_.offset));
    }
    const std::uint64_t room = place_.offset - entry.header_offset;
    const std::uint64_t likely = kLocalBytes + entry.name.size() + 4 + 64;
    FERRULE_TRY(auto header, source_.read(entry.header_offset, std::min(room, likely)));
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
      FERRULE_TRY(header, source_.read(entry.header_offset, total));
    }
    const std::string_view name(reinterpret_cast<const char*>(header.data()) + kLocalBytes,
                                name_bytes);
    if (name != entry.name) return disagree("calls it " + quote(name));
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
    FERRULE_TRY(const auto bytes, source_.read(at, room));
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
    return base::corrupt("TZ-6",
                         "entry " + quote(entry.name) +
                             " announces a data descriptor, but none that agrees is at offset " +
                             std::to_string(at));
  }

  const ByteSource& source_;
  ZipProfile profile_;
  const ReadLimits& limits_;
  ZipDirectoryPlace place_;
};

}  // namespace

Result<std::vector<ZipEntry>> read_zip_directory(const ByteSource& source, ZipProfile profile,
                                                 const ReadLimits& limits) {
  return DirectoryParser(source, profile, limits).parse();
}

}  // namespace ferrule::format
