// SPDX-License-Identifier: Apache-2.0
#include "rescue/sources.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/checked.hpp"
#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "format/torch/torch_archive.hpp"
#include "format/zip/crc32.hpp"

namespace ferrule::rescues {
namespace {

constexpr std::size_t kMaxOpen = 96;
constexpr std::uint64_t kMaxHeld = std::uint64_t{8} << 20;

}  // namespace

Result<std::size_t> Sources::open(const std::filesystem::path& path) {
  const auto known = std::find_if(files_.begin(), files_.end(),
                                  [&](const File& file) { return file.path == path; });
  if (known != files_.end()) return static_cast<std::size_t>(known - files_.begin());
  files_.push_back({.path = path, .size = 0, .file = std::nullopt});
  const auto source = files_.size() - 1;
  auto opened = file(source);
  if (!opened) {
    files_.pop_back();
    auto error = std::move(opened).error();
    if (error.code == ErrorCode::kNotFound) {
      return base::at(base::corrupt("RS-3", "the checkpoint needs this file, which is missing"),
                      path.string());
    }
    return error;
  }
  files_[source].size = (*opened)->size();
  total_bytes_ += (*opened)->size();
  return source;
}

Result<io::InputFile*> Sources::file(std::size_t source) {
  auto& wanted = files_[source];
  if (wanted.file) return &*wanted.file;
  FERRULE_TRY(auto opened, io::InputFile::open(wanted.path));
  if (open_.size() >= kMaxOpen) {
    files_[open_.front()].file.reset();
    open_.erase(open_.begin());
  }
  wanted.file.emplace(std::move(opened));
  open_.push_back(source);
  return &*wanted.file;
}

Result<void> Sources::read_at(std::size_t source, std::uint64_t offset, std::span<std::byte> out) {
  const auto end = base::checked_add(offset, out.size());
  if (!end || *end > files_[source].size) {
    return base::at(
        base::corrupt("RS-4", "the checkpoint refers to bytes " + std::to_string(offset) + " to " +
                                  std::to_string(end.value_or(~std::uint64_t{0})) +
                                  " of a file of " + std::to_string(files_[source].size)),
        files_[source].path.string());
  }
  FERRULE_TRY(auto* opened, file(source));
  bytes_read_ += out.size();
  return opened->read_at(offset, out);
}

Result<std::vector<std::byte>> Sources::read_all(std::size_t source, std::uint64_t limit) {
  const auto bytes = files_[source].size;
  if (bytes > limit) {
    return base::at(base::over_limit("RS-13", "the file has " + std::to_string(bytes) +
                                                  " bytes; the limit is " + std::to_string(limit)),
                    files_[source].path.string());
  }
  std::vector<std::byte> out(static_cast<std::size_t>(bytes));
  FERRULE_CHECK(read_at(source, 0, out));
  return out;
}

std::size_t Sources::add_record(Record record) {
  const auto [known, inserted] =
      by_place_.try_emplace(std::pair(record.source, record.offset), records_.size());
  if (!inserted) return known->second;  // Tensors share storages.
  records_.push_back(std::move(record));
  checked_.push_back(false);
  return records_.size() - 1;
}

bool Sources::is_small(std::size_t record) const { return records_[record].bytes <= kMaxHeld; }

Result<void> Sources::read_record(std::size_t record, std::uint64_t offset,
                                  std::span<std::byte> out) {
  const auto& wanted = records_[record];
  const auto end = base::checked_add(offset, out.size());
  const bool inside = end && offset >= wanted.offset && *end <= wanted.offset + wanted.bytes;
  if (!inside || !is_small(record)) return read_at(wanted.source, offset, out);
  if (held_ != record) {
    held_.reset();
    held_bytes_.resize(static_cast<std::size_t>(wanted.bytes));
    FERRULE_CHECK(read_at(wanted.source, wanted.offset, held_bytes_));
    const auto crc = format::crc32(0, held_bytes_);
    if (crc != wanted.crc32) {
      return base::at(format::wrong_checksum(wanted.name, wanted.crc32, crc),
                      files_[wanted.source].path.string());
    }
    held_ = record;
  }
  if (!out.empty()) {
    std::memcpy(out.data(), held_bytes_.data() + (offset - wanted.offset), out.size());
  }
  return {};
}

Result<void> Sources::check_record(std::size_t record) {
  if (checked_[record]) return {};
  const auto& wanted = records_[record];
  std::vector<std::byte> block(
      static_cast<std::size_t>(std::min<std::uint64_t>(kBlock, wanted.bytes)));
  std::uint32_t crc = 0;
  for (std::uint64_t at = 0; at < wanted.bytes; at += block.size()) {
    const auto piece = std::span(block).first(
        static_cast<std::size_t>(std::min<std::uint64_t>(block.size(), wanted.bytes - at)));
    FERRULE_CHECK(read_at(wanted.source, wanted.offset + at, piece));
    crc = format::crc32(crc, piece);
  }
  if (crc != wanted.crc32) {
    return base::at(format::wrong_checksum(wanted.name, wanted.crc32, crc),
                    files_[wanted.source].path.string());
  }
  checked_[record] = true;
  return {};
}

}  // namespace ferrule::rescues
