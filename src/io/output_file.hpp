// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "ferrule/result.hpp"
#include "io/file_identity.hpp"

namespace ferrule::io {

/// A file of a transaction while it is written. Owned by the transaction.
class OutputFile {
 public:
  virtual ~OutputFile();
  /// Appends the pieces in order, carrying on after short writes and EINTR.
  virtual Result<void> write(std::span<const std::span<const std::byte>> pieces) = 0;
  Result<void> write(std::span<const std::byte> piece);
  /// Announces the final size, so that the file system can reserve it (and say ENOSPC early).
  virtual Result<void> reserve(std::uint64_t bytes) = 0;
  /// Writes at any place inside what reserve() announced; several threads may, each at its own.
  virtual Result<void> write_at(std::uint64_t offset, std::span<const std::byte> piece) = 0;
  /// Bytes that write() and write_at() took so far.
  virtual std::uint64_t bytes_written() const noexcept = 0;
  /// Of what is written so far. Publishing it changes nothing but the time of change.
  virtual Result<FileIdentity> identity() const = 0;
};

}  // namespace ferrule::io
