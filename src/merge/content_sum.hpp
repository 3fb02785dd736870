// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "io/output_file.hpp"

namespace ferrule::merging {

/// A sum over a file's content that pieces may be added to in any order, by several threads, each
/// at its own place. Tells damage, not malice.
class ContentSum {
 public:
  void add(std::uint64_t offset, std::span<const std::byte> piece) noexcept;
  std::string text() const;

 private:
  std::atomic<std::uint64_t> low_{0};
  std::atomic<std::uint64_t> high_{0};
};

/// A file whose content is summed while it is written.
class SummedFile final : public io::OutputFile {
 public:
  explicit SummedFile(io::OutputFile& file) noexcept : file_(file) {}

  using OutputFile::write;
  Result<void> write(std::span<const std::span<const std::byte>> pieces) override;
  Result<void> reserve(std::uint64_t bytes) override { return file_.reserve(bytes); }
  Result<void> write_at(std::uint64_t offset, std::span<const std::byte> piece) override;
  std::uint64_t bytes_written() const noexcept override { return file_.bytes_written(); }
  Result<io::FileIdentity> identity() const override { return file_.identity(); }

  std::string sum() const { return sum_.text(); }

 private:
  io::OutputFile& file_;
  ContentSum sum_;
  std::uint64_t position_ = 0;
};

}  // namespace ferrule::merging
