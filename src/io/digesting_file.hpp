// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "io/digest.hpp"
#include "io/output_file.hpp"

namespace ferrule::io {

/// A file of a transaction that sums up what is written to it.
class DigestingFile final : public OutputFile {
 public:
  explicit DigestingFile(OutputFile& file) : file_(file) {}

  using OutputFile::write;
  Result<void> write(std::span<const std::span<const std::byte>> pieces) override;
  Result<void> reserve(std::uint64_t bytes) override { return file_.reserve(bytes); }
  Result<void> write_at(std::uint64_t offset, std::span<const std::byte> piece) override;
  std::uint64_t bytes_written() const noexcept override { return file_.bytes_written(); }
  Result<FileIdentity> identity() const override { return file_.identity(); }

  /// Of everything written, in hexadecimal; nullopt if some of it was overwritten.
  std::optional<std::string> sha256();

 private:
  OutputFile& file_;
  Sha256 sum_;
  bool overwritten_ = false;
};

}  // namespace ferrule::io
