// SPDX-License-Identifier: Apache-2.0
#include "format/pickle/scan_content.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "ferrule/file_kind.hpp"
#include "ferrule/text.hpp"
#include "format/byte_source.hpp"
#include "format/pickle/pickle.hpp"
#include "format/zip/crc32.hpp"
#include "format/zip/inflate.hpp"
#include "format/zip/zip_directory.hpp"

namespace ferrule::format {
namespace {

constexpr int kMaxNesting = 3;
constexpr std::size_t kMaxHits = 1000;
constexpr std::size_t kMaxGaps = 100;
/// Of one compressed entry; a ratio beyond is a bomb.
constexpr std::uint64_t kMaxInflated = std::uint64_t{64} << 20;
/// Of all compressed entries of a file together.
constexpr std::uint64_t kMaxInflatedTotal = std::uint64_t{256} << 20;
constexpr std::size_t kMaxPickles = 10000;
constexpr std::size_t kHeadBytes = 4096;

std::string_view text_of(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A dotted name that Python could import. Other lines in a text happen to look like a GLOBAL.
bool is_importable(std::string_view global) noexcept {
  if (global.empty() || (global[0] >= '0' && global[0] <= '9')) return false;
  return std::all_of(global.begin(), global.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || (static_cast<unsigned char>(c) & 0x80) != 0;
  });
}

bool has_protocol(std::string_view text) noexcept {
  return text.size() >= 2 && text[0] == '\x80' && static_cast<unsigned char>(text[1]) <= 5;
}

bool ends_like_a_pickle(std::string_view entry) noexcept {
  return entry.ends_with(".pkl") || entry.ends_with(".pickle") || entry.ends_with(".pck");
}

class Scanner {
 public:
  explicit Scanner(const ReadLimits& limits) : limits_(limits) {}

  ContentScan scan(std::span<const std::byte> bytes) {
    scan_bytes(bytes, {}, 0);
    result_.examined =
        result_.examined || result_.pickles > 0 || !result_.hits.empty() || !result_.gaps.empty();
    return std::move(result_);
  }

 private:
  void gap(const std::string& entry, std::string rule, std::string message) {
    if (result_.gaps.size() < kMaxGaps) {
      result_.gaps.push_back({entry, std::move(rule), std::move(message)});
    }
  }

  void gap(const std::string& entry, const Error& error) { gap(entry, error.rule, error.message); }

  void scan_bytes(std::span<const std::byte> bytes, const std::string& entry, int nesting) {
    const auto head = bytes.first(std::min(bytes.size(), kHeadBytes));
    const std::string_view text = text_of(bytes);
    if (text.starts_with("\x93NUMPY")) {
      result_.examined = true;
      return scan_numpy(bytes, entry);
    }
    switch (const FileKind kind = recognize(head, bytes.size())) {
      case FileKind::kTorchZip:
      case FileKind::kTorchScript:
      case FileKind::kZip:
        result_.examined = true;
        return scan_zip(bytes, entry, nesting);
      case FileKind::kGzip:
      case FileKind::kTar:
      case FileKind::kTorchTar:
      case FileKind::kSevenZip:
        return gap(entry, {}, "is " + std::string(describe(kind)) + ", which is not looked into");
      case FileKind::kSafetensors:
      case FileKind::kGguf:
      case FileKind::kEmpty:
        result_.examined = true;
        return scan_appended_zip(bytes, entry);
      default:
        break;
    }
    if (const auto* wrapper = wrapper_name(text); wrapper != nullptr) {
      return gap(entry, {}, "is " + std::string(wrapper) + ", which is not looked into");
    }
    scan_pickles(bytes, entry);
    scan_appended_zip(bytes, entry);
  }

  static const char* wrapper_name(std::string_view text) noexcept {
    if (text.starts_with("BZh")) return "compressed with bzip2";
    if (text.starts_with("\xfd"
                         "7zXZ"))
      return "compressed with xz";
    if (text.starts_with("\x28\xb5\x2f\xfd")) return "compressed with zstd";
    if (text.starts_with("\x04\x22\x4d\x18")) return "compressed with lz4";
    if (text.starts_with("Rar!")) return "a rar archive";
    if (text.size() > 2 && text[0] == '\x78' &&
        (text[1] == '\x01' || text[1] == '\x5e' || text[1] == '\x9c' || text[1] == '\xda')) {
      return "compressed with zlib (joblib?)";
    }
    return nullptr;
  }

  // Pickles.

  /// One pickle after the other from byte `start` on, until something else follows.
  void scan_pickles(std::span<const std::byte> bytes, const std::string& entry,
                    std::uint64_t start = 0) {
    std::uint64_t at = start;
    for (std::size_t count = 0; at < bytes.size(); ++count) {
      if (count == kMaxPickles) {
        return gap(entry, "PK-7", "has more than 10000 pickles in a row");
      }
      const auto rest = bytes.subspan(at);
      const bool announced =
          has_protocol(text_of(rest)) || (at == start && ends_like_a_pickle(entry));
      auto scan = Pickle::scan(rest);
      if (!announced && !is_convincing(scan)) return;
      add_hits(scan, at, entry);
      if (!scan.failure) ++result_.pickles;
      if (scan.failure) {
        // Raw data happen to start like a pickle: where Python stops as well before anything would
        // have run, there is nothing to miss.
        const bool raw = count > 0 || (!entry.empty() && !ends_like_a_pickle(entry));
        if (raw && scan.events.empty() && scan.failure->rule != "PK-7") return;
        return gap(entry, scan.failure->rule,
                   scan.failure->message +
                       (at == 0 ? std::string()
                                : " (of the pickle at offset " + std::to_string(at) + ")") +
                       "; what follows there is not known");
      }
      at += scan.end;
    }
  }

  /// Texts and numbers happen to start with bytes that are opcodes.
  static bool is_convincing(const Pickle::Scan& scan) {
    const bool importable =
        std::any_of(scan.events.begin(), scan.events.end(), [](const PickleEvent& event) {
          // GLOBAL and INST are lines of text; the others are not in one by chance.
          const bool lines = event.opcode == Opcode::kGlobal || event.opcode == Opcode::kInst;
          return !lines || is_importable(event.global);
        });
    return importable && (scan.calls > 0 || !scan.failure);
  }

  void add_hits(const Pickle::Scan& scan, std::uint64_t base, const std::string& entry) {
    for (const auto& event : scan.events) {
      if (result_.hits.size() == kMaxHits) {
        if (!full_) gap(entry, "PK-7", "has more than 1000 things to report; these are the first");
        full_ = true;
        return;
      }
      result_.hits.push_back({.entry = entry,
                              .offset = base + event.offset,
                              .opcode = std::string(opcode_name(event.opcode)),
                              .global = event.global,
                              .why = event.note,
                              .threat = event.threat});
    }
  }

  /// An array of objects is a header and a pickle.
  void scan_numpy(std::span<const std::byte> bytes, const std::string& entry) {
    const std::string_view text = text_of(bytes);
    const std::size_t prefix = text.size() > 6 && text[6] == '\x01' ? 10 : 12;
    if (text.size() < prefix) return;
    const std::uint64_t length =
        prefix == 10 ? load_le<std::uint16_t>(bytes, 8) : load_le<std::uint32_t>(bytes, 8);
    if (length > text.size() - prefix) return gap(entry, {}, "is a numpy array cut short");
    if (text.substr(prefix, length).find('O') == std::string_view::npos) return;
    scan_pickles(bytes, entry, prefix + length);
  }

  // Archives.

  void scan_zip(std::span<const std::byte> bytes, const std::string& entry, int nesting) {
    if (nesting == kMaxNesting) return gap(entry, {}, "is an archive in an archive in an archive");
    const auto entries = read_zip_directory(MemorySource(bytes), ZipProfile::kAny, limits_);
    if (!entries) {
      // Other readers may take it all the same: tell what can be seen, and that it is not all.
      gap(entry, entries.error());
      return carve(bytes, entry);
    }
    for (const auto& item : *entries) {
      const std::string name = entry.empty() ? item.name : entry + "!" + item.name;
      if (item.name.ends_with("/constants.pkl")) {
        gap(entry, "TZ-15", "is a TorchScript archive, which holds a program");
      }
      if (!item.is_directory()) {
        scan_entry(bytes.subspan(item.data_offset, item.packed_bytes), item, name, nesting);
      }
    }
  }

  void scan_entry(std::span<const std::byte> packed, const ZipEntry& item, const std::string& name,
                  int nesting) {
    if (item.is_stored()) {
      check_content(packed, item, name);
      return scan_bytes(packed, name, nesting + 1);
    }
    if (item.bytes > kMaxInflated || inflated_ + item.bytes > kMaxInflatedTotal) {
      return gap(name, "TZ-7",
                 "would take " + std::to_string(item.bytes) +
                     " bytes when decompressed, more than is looked into");
    }
    inflated_ += item.bytes;
    const auto content = inflate(packed, item.bytes);
    if (!content) return gap(name, content.error());
    check_content(*content, item, name);
    scan_bytes(*content, name, nesting + 1);
  }

  /// torch does not look at checksums; programs that do would see another file.
  void check_content(std::span<const std::byte> content, const ZipEntry& item,
                     const std::string& name) {
    if (crc32(0, content) != item.crc32) {
      gap(name, "TZ-11", "has another CRC-32 than the archive says");
    }
  }

  /// Reads every local header on its own.
  void carve(std::span<const std::byte> bytes, const std::string& entry) {
    static constexpr std::string_view kSignature("PK\x03\x04", 4);
    const std::string_view text = text_of(bytes);
    std::size_t found = 0;
    for (auto at = text.find(kSignature); at != std::string_view::npos && found < kMaxPickles;) {
      const auto next = text.find(kSignature, at + 4);
      const std::size_t end = next == std::string_view::npos ? text.size() : next;
      ++found;
      if (end - at > 30) carve_one(bytes.subspan(at, end - at), entry);
      at = next;
    }
  }

  void carve_one(std::span<const std::byte> bytes, const std::string& entry) {
    const std::size_t name_bytes = load_le<std::uint16_t>(bytes, 26);
    const std::size_t start = 30 + name_bytes + load_le<std::uint16_t>(bytes, 28);
    if (start >= bytes.size()) return;
    const std::string name = (entry.empty() ? std::string() : entry + "!") +
                             std::string(text_of(bytes.subspan(30, name_bytes)));
    const auto content = bytes.subspan(start);
    if (load_le<std::uint16_t>(bytes, 8) == kZipStored) {
      // Descriptor and directory may follow the content: a pickle ends by itself.
      scan_pickles(content, name);
    } else {
      gap(name, "TZ-7", "is compressed in an archive that breaks rules: not looked into");
    }
  }

  /// Programs that search an archive from the end find one behind anything.
  void scan_appended_zip(std::span<const std::byte> bytes, const std::string& entry) {
    static constexpr std::string_view kEnd("PK\x05\x06", 4);
    const std::string_view tail = text_of(bytes.last(std::min<std::size_t>(bytes.size(), 65557)));
    const auto at = tail.rfind(kEnd);
    if (at == std::string_view::npos || tail.size() - at < 22) return;
    const auto record = std::as_bytes(std::span(tail)).subspan(at);
    if (load_le<std::uint16_t>(record, 20) != record.size() - 22) return;
    gap(entry, "TZ-1", "ends like a zip archive, but does not start like one");
    carve(bytes, entry);
  }

  const ReadLimits& limits_;
  ContentScan result_;
  std::uint64_t inflated_ = 0;
  bool full_ = false;
};

}  // namespace

ContentScan scan_content(std::span<const std::byte> bytes, const ReadLimits& limits) {
  return Scanner(limits).scan(bytes);
}

}  // namespace ferrule::format
