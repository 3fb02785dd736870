// SPDX-License-Identifier: Apache-2.0
#include "format/torch/torch_archive.hpp"

#include <algorithm>
#include <cstdio>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "format/zip/crc32.hpp"
#include "format/zip/zip_directory.hpp"

namespace ferrule::format {
namespace {

constexpr std::uint64_t kSmallRecord = 64;
constexpr std::size_t kBlock = 256 * 1024;

std::string hex(std::uint32_t value) {
  char text[16];
  std::snprintf(text, sizeof text, "%08x", value);
  return text;
}

class ArchiveReader {
 public:
  ArchiveReader(const ByteSource& source, const ReadLimits& limits)
      : source_(source), limits_(limits) {}

  Result<TorchLayout> read(std::string_view key) {
    FERRULE_TRY(const auto bytes, read_data_pickle());
    FERRULE_TRY(const auto pickle, read_pickle(bytes, key));
    FERRULE_CHECK(check_end(pickle, bytes));
    FERRULE_TRY(auto layout, read_torch_tensors(pickle, TorchContainer::kZip, key, limits_));
    layout.has_checksums = true;
    FERRULE_CHECK(locate(layout.storages));
    return layout;
  }

  /// The bytes of data.pkl, after all that concerns the archive was checked.
  Result<std::vector<std::byte>> read_data_pickle() {
    FERRULE_TRY(entries_, read_zip_directory(source_, ZipProfile::kTorch, limits_));
    FERRULE_CHECK(find_root());
    FERRULE_CHECK(check_kind());
    FERRULE_CHECK(check_version());
    FERRULE_CHECK(check_byte_order());
    const auto* record = find("data.pkl");
    if (record->bytes > limits_.header_bytes) {
      return base::over_limit("TZ-12", "data.pkl has " + std::to_string(record->bytes) +
                                           " bytes; the limit is " +
                                           std::to_string(limits_.header_bytes));
    }
    return read_record(*record);
  }

  static Result<void> check_end(const Pickle& pickle, std::span<const std::byte> bytes) {
    if (pickle.end() == bytes.size()) return {};
    return base::corrupt("PK-1", std::to_string(bytes.size() - pickle.end()) +
                                     " bytes follow the STOP of data.pkl at offset " +
                                     std::to_string(pickle.end() - 1));
  }

  /// TZ-16.
  Result<void> locate(std::vector<TorchStorage>& storages) const {
    for (auto& storage : storages) {
      const auto* entry = find("data/" + storage.key);
      if (entry == nullptr) {
        return base::corrupt("TZ-16", "the pickle refers to the storage " + quote(storage.key) +
                                          ", but the archive has no record data/" +
                                          printable(storage.key, 200));
      }
      if (entry->bytes != storage.bytes) {
        return base::corrupt("TZ-16", "the storage " + quote(storage.key) + " should have " +
                                          std::to_string(storage.bytes) +
                                          " bytes, its record has " + std::to_string(entry->bytes));
      }
      storage.file_offset = entry->data_offset;
      storage.crc32 = entry->crc32;
    }
    return {};
  }

 private:
  /// TZ-10.
  Result<void> find_root() {
    if (entries_.empty())
      return base::unsupported("TZ-10", "an empty zip archive, not a torch file");
    const auto slash = entries_.front().name.find('/');
    if (slash == std::string::npos || slash == 0) {
      return base::unsupported("TZ-10",
                               "the entry " + quote(entries_.front().name) +
                                   " is not in a folder: a zip archive, but not a torch file");
    }
    root_ = entries_.front().name.substr(0, slash + 1);
    for (const auto& entry : entries_) {
      if (!entry.name.starts_with(root_)) {
        return base::corrupt("TZ-10", "the entry " + quote(entry.name) +
                                          " is outside of the archive's folder " + quote(root_));
      }
      by_name_.emplace(std::string_view(entry.name).substr(root_.size()), &entry);
    }
    return {};
  }

  const ZipEntry* find(std::string_view name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : found->second;
  }

  /// TZ-15 and TZ-12.
  Result<void> check_kind() const {
    const bool has_code = std::any_of(by_name_.begin(), by_name_.end(), [](const auto& item) {
      return item.first.starts_with("code/");
    });
    if (find("constants.pkl") != nullptr || has_code) {
      return base::unsupported(
          "TZ-15",
          "a TorchScript archive (torch.jit.save), which holds a program; save the "
          "state dict of the module with torch.save instead");
    }
    if (find("data.pkl") == nullptr) {
      return base::unsupported("TZ-12",
                               "the archive has no record data.pkl: not a file of torch.save");
    }
    return {};
  }

  /// With a key, what is next to the state dict (an optimizer's state, arguments) may be anything.
  static Result<Pickle> read_pickle(std::span<const std::byte> bytes, std::string_view key) {
    if (!key.empty()) return Pickle::read(bytes, {}, PicklePolicy::kSkip);
    auto pickle = Pickle::read(bytes);
    if (pickle || pickle.error().rule != "PK-3") return pickle;
    auto error = std::move(pickle).error();
    if (const auto skipped = Pickle::read(bytes, {}, PicklePolicy::kSkip)) {
      error.message += offer_torch_keys(*skipped);
    }
    return error;
  }

  /// TZ-13.
  Result<void> check_version() const {
    FERRULE_TRY(auto text, read_small("version"));
    if (!text) return base::corrupt("TZ-13", "the archive has no record \"version\"");
    while (!text->empty() && (text->back() == '\n' || text->back() == '\r')) text->pop_back();
    const bool digits =
        !text->empty() && text->size() <= 2 && text->front() != '0' &&
        std::all_of(text->begin(), text->end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!digits || std::stoi(*text) > 10) {
      return base::unsupported(
          "TZ-13", "the archive has version " + quote(*text, 40) + "; torch knows 1 to 10");
    }
    return {};
  }

  /// TZ-14.
  Result<void> check_byte_order() const {
    FERRULE_TRY(const auto text, read_small("byteorder"));
    if (!text || *text == "little") return {};
    if (*text == "big") {
      return base::unsupported("TZ-14",
                               "the archive was written on a big-endian machine; load and save "
                               "it once with torch to turn its bytes around");
    }
    return base::corrupt("TZ-14",
                         "the byte order is " + quote(*text, 40) + "; expected \"little\"");
  }

  Result<std::optional<std::string>> read_small(std::string_view name) const {
    const auto* entry = find(name);
    if (entry == nullptr) return std::optional<std::string>();
    if (entry->bytes > kSmallRecord) {
      return base::corrupt("TZ-13", "the record " + quote(name) + " has " +
                                        std::to_string(entry->bytes) + " bytes; expected a few");
    }
    FERRULE_TRY(const auto bytes, read_record(*entry));
    return std::optional<std::string>(
        std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  }

  Result<std::vector<std::byte>> read_record(const ZipEntry& entry) const {
    std::vector<std::byte> bytes(static_cast<std::size_t>(entry.bytes));
    FERRULE_CHECK(source_.read_at(entry.data_offset, bytes));
    const auto found = crc32(0, bytes);
    if (found != entry.crc32) return wrong_checksum(entry.name, entry.crc32, found);
    return bytes;
  }

  const ByteSource& source_;
  const ReadLimits& limits_;
  std::vector<ZipEntry> entries_;
  std::string root_;
  std::unordered_map<std::string_view, const ZipEntry*> by_name_;
};

}  // namespace

Error wrong_checksum(std::string_view record, std::uint32_t expected, std::uint32_t found) {
  return base::corrupt("TZ-11", "the record " + quote(record) + " has the CRC-32 " + hex(found) +
                                    ", the archive says " + hex(expected) +
                                    ": its bytes were damaged or changed");
}

Result<TorchLayout> read_torch_archive(const ByteSource& source, std::string_view key,
                                       const ReadLimits& limits) {
  return ArchiveReader(source, limits).read(key);
}

Result<TorchObject> TorchObject::read(const ByteSource& source, const ReadLimits& limits,
                                      PicklePolicy policy) {
  ArchiveReader reader(source, limits);
  TorchObject object;
  FERRULE_TRY(object.bytes_, reader.read_data_pickle());
  FERRULE_TRY(auto pickle, Pickle::read(object.bytes_, {}, policy));
  object.pickle_ = std::make_unique<Pickle>(std::move(pickle));
  FERRULE_CHECK(ArchiveReader::check_end(*object.pickle_, object.bytes_));
  FERRULE_TRY(auto values, TorchValues::make(*object.pickle_, TorchContainer::kZip, limits));
  object.values_.emplace(std::move(values));
  FERRULE_CHECK(reader.locate(object.values_->storages()));
  return object;
}

Result<void> check_storage(const ByteSource& source, const TorchLayout& layout,
                           std::size_t storage) {
  if (!layout.has_checksums) return {};
  const auto& record = layout.storages[storage];
  std::vector<std::byte> block(std::min<std::uint64_t>(kBlock, record.bytes));
  std::uint32_t crc = 0;
  for (std::uint64_t at = 0; at < record.bytes; at += block.size()) {
    const auto piece =
        std::span(block).first(std::min<std::uint64_t>(block.size(), record.bytes - at));
    FERRULE_CHECK(source.read_at(record.file_offset + at, piece));
    crc = crc32(crc, piece);
  }
  if (crc != record.crc32) return wrong_checksum("data/" + record.key, record.crc32, crc);
  return {};
}

}  // namespace ferrule::format
