// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>

#include "ferrule/durability.hpp"
#include "ferrule/result.hpp"
#include "io/output_file.hpp"

namespace ferrule::io {

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
