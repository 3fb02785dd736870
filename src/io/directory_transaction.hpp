// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ferrule/durability.hpp"
#include "ferrule/result.hpp"
#include "io/folder.hpp"

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

/// Several files of one directory (and of folders below it) that appear together or not at all,
/// for readers that know nothing of Ferrule. What it owes is in docs/rules/TX.md.
///
///   FERRULE_TRY(auto save, DirectoryTransaction::begin("my-adapter", Durability::kSafe));
///   FERRULE_TRY(auto* weights, save.create("adapter_model.safetensors"));
///   FERRULE_CHECK(weights->write(bytes));
///   FERRULE_CHECK(save.remove("adapter_model.bin"));
///   FERRULE_CHECK(save.commit());
///
/// TX-2: destroyed without commit() it leaves the directory as it was and nothing behind.
class DirectoryTransaction {
 public:
  /// Locks the directory against other savers (waits for them) and clears what a crashed one left.
  /// Creates missing parents at commit only. Fails with kIo, kInvalidArgument (the path is a file)
  /// or kUnsupported (FIFO, device).
  static Result<DirectoryTransaction> begin(const std::filesystem::path& directory,
                                            Durability durability);

  DirectoryTransaction(DirectoryTransaction&&) noexcept;
  DirectoryTransaction& operator=(DirectoryTransaction&&) noexcept;
  ~DirectoryTransaction();

  /// Stages a file. `name` is relative, with '/' between folders; "..", absolute names and empty
  /// components are kInvalidArgument. The pointer lives until commit() or destruction.
  Result<OutputFile*> create(std::string_view name);

  /// Stages a file with that content.
  Result<void> create(std::string_view name, std::string_view content);

  /// After the commit there is no file of that name. No error where there is none already.
  Result<void> remove(std::string_view name);

  /// The content that the directory has under that name now, or nullopt; kLimitExceeded where it is
  /// larger than `limit`. Anything but a regular file (or a link to one) is nullopt as well.
  Result<std::optional<std::string>> existing(std::string_view name, std::uint64_t limit) const;

  /// Publishes everything. On failure the directory is as it was (the message says so where the
  /// failure came after publication).
  Result<void> commit();

 private:
  struct Rep;
  explicit DirectoryTransaction(std::unique_ptr<Rep> rep) noexcept;
  std::unique_ptr<Rep> rep_;
};

/// TX-12: one file that appears whole under `path` or not at all; an existing one keeps its mode, a
/// link is replaced by the file it names being replaced (never written through).
class FileTransaction {
 public:
  static Result<FileTransaction> begin(const std::filesystem::path& path, Durability durability);
  FileTransaction(FileTransaction&&) noexcept;
  FileTransaction& operator=(FileTransaction&&) noexcept;
  ~FileTransaction();
  OutputFile& file() noexcept;
  Result<void> commit();

 private:
  struct Rep;
  explicit FileTransaction(std::unique_ptr<Rep> rep) noexcept;
  std::unique_ptr<Rep> rep_;
};

}  // namespace ferrule::io
