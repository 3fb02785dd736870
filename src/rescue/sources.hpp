// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ferrule/result.hpp"
#include "format/byte_source.hpp"
#include "io/input_file.hpp"

namespace ferrule::rescues {

/// Dimensions of a tensor beyond which nothing is read.
inline constexpr std::size_t kMaxRank = 64;
/// Bytes that are held at a time while a file is read through.
inline constexpr std::size_t kBlock = 256 * 1024;

/// A run of bytes with a CRC-32: one record of a torch zip.
struct Record {
  std::size_t source = 0;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint32_t crc32 = 0;
  /// As the archive calls it.
  std::string name = {};
};

/// The files of a checkpoint, by number. A checkpoint of many ranks has more files than a process
/// may hold open, so they are opened when they are read and closed again. Counts what is read.
/// For one thread at a time.
class Sources {
 public:
  /// The number of the file, the same for the same path. Fails as io::InputFile::open does; a file
  /// that is missing is kCorrupt (RS-3): the caller knows that the checkpoint needs it.
  Result<std::size_t> open(const std::filesystem::path& path);

  const std::filesystem::path& path(std::size_t source) const { return files_[source].path; }
  std::uint64_t size(std::size_t source) const { return files_[source].size; }
  /// Fails with RS-4 if the range is not inside the file.
  Result<void> read_at(std::size_t source, std::uint64_t offset, std::span<std::byte> out);
  Result<std::vector<std::byte>> read_all(std::size_t source, std::uint64_t limit);

  std::size_t add_record(Record record);
  /// TZ-11, the first time that it is asked of a record.
  Result<void> check_record(std::size_t record);

  /// Reads at a place of the file that is inside the record. A small record is read once, as a
  /// whole, and its checksum compared; it stays in memory until another one is read.
  Result<void> read_record(std::size_t record, std::uint64_t offset, std::span<std::byte> out);
  /// True if read_record() compares the checksum by itself, so that nothing is read twice.
  bool is_small(std::size_t record) const;

  std::size_t count() const noexcept { return files_.size(); }
  std::uint64_t bytes_read() const noexcept { return bytes_read_; }
  /// Sizes of all files that were opened.
  std::uint64_t total_bytes() const noexcept { return total_bytes_; }

 private:
  struct File {
    std::filesystem::path path = {};
    std::uint64_t size = 0;
    std::optional<io::InputFile> file = {};
  };
  Result<io::InputFile*> file(std::size_t source);

  std::vector<File> files_;
  std::vector<std::size_t> open_;  // In the order of opening.
  std::vector<Record> records_;
  std::map<std::pair<std::size_t, std::uint64_t>, std::size_t> by_place_;
  std::vector<bool> checked_;
  std::optional<std::size_t> held_;  // The record in held_bytes_.
  std::vector<std::byte> held_bytes_;
  std::uint64_t bytes_read_ = 0;
  std::uint64_t total_bytes_ = 0;
};

/// Part of one file as a source of its own, such as an item of a .distcp file.
class WindowSource final : public format::ByteSource {
 public:
  /// The caller has checked that the window is inside the file.
  WindowSource(Sources& sources, std::size_t source, std::uint64_t offset, std::uint64_t bytes)
      : sources_(sources), source_(source), offset_(offset), bytes_(bytes) {}
  std::uint64_t size() const noexcept override { return bytes_; }
  Result<void> read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    return sources_.read_at(source_, offset_ + offset, out);
  }

 private:
  Sources& sources_;
  std::size_t source_;
  std::uint64_t offset_;
  std::uint64_t bytes_;
};

}  // namespace ferrule::rescues
