// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "ferrule/durability.hpp"
#include "ferrule/result.hpp"
#include "io/output_file.hpp"

namespace ferrule::io {

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

  /// Stages `name` of `folder` (a descriptor) under the name `as`: the same file under a second
  /// name, which takes no room. Of a link it is the file that the link leads to. False if the file
  /// system does not do that across these two places.
  Result<bool> link(int folder, const std::string& name, std::string_view as);

  /// Takes over the file `name` of `folder`, complete and flushed, under the name `as`. It leaves
  /// `folder` unless the two are on different file systems.
  Result<void> adopt(int folder, const std::string& name, std::string_view as);

  /// After the commit there is no file of that name. Not an error if there is none already.
  Result<void> remove(std::string_view name);

  /// The content that the directory has under that name now, or nullopt; kLimitExceeded if it is
  /// larger than `limit`. Anything but a regular file (or a link to one) is nullopt too.
  Result<std::optional<std::string>> existing(std::string_view name, std::uint64_t limit) const;

  /// Publishes everything. On failure the directory is as it was (the message says so where the
  /// failure came after publication).
  Result<void> commit();

 private:
  struct Rep;
  explicit DirectoryTransaction(std::unique_ptr<Rep> rep) noexcept;
  std::unique_ptr<Rep> rep_;
};

}  // namespace ferrule::io
