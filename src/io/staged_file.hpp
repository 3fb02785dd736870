// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

#include "ferrule/durability.hpp"
#include "ferrule/result.hpp"
#include "io/output_file.hpp"
#include "io/unique_fd.hpp"

namespace ferrule::io {

/// A new file under a hidden name, before it gets its own.
class StagedFile final : public OutputFile {
 public:
  /// Takes over `fd`, opened for writing; `path` is the final name, for messages.
  StagedFile(UniqueFd fd, std::filesystem::path path, Durability durability) noexcept;

  using OutputFile::write;
  Result<void> write(std::span<const std::span<const std::byte>> pieces) override;
  Result<void> reserve(std::uint64_t bytes) override;
  Result<void> write_at(std::uint64_t offset, std::span<const std::byte> piece) override;

  std::uint64_t bytes_written() const noexcept override { return written_ + written_at_; }
  Result<FileIdentity> identity() const override { return identity_of(fd_.get(), path_); }

  int fd() const noexcept { return fd_.get(); }

  /// Flushes the data as the durability asks (TX-3) and closes, checking the result of close.
  Result<void> finish();

 private:
  Result<void> check_room(std::uint64_t end) const;
  Result<void> start_writeback();

  UniqueFd fd_;
  std::filesystem::path path_;
  Durability durability_;
  std::uint64_t written_ = 0;                  // By write(): the position of the next one.
  std::atomic<std::uint64_t> written_at_ = 0;  // By write_at(), in any thread.
  std::uint64_t writeback_ = 0;                // Where the last early writeback ended.
};

}  // namespace ferrule::io
