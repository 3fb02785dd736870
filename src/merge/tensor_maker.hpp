// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "ferrule/result.hpp"
#include "merge/dequantizer.hpp"
#include "merge/shard_writer.hpp"

namespace ferrule::merging {

/// Makes the bytes of one tensor of the output, rows at a time.
class TensorMaker {
 public:
  TensorMaker(const OutputTensor& tensor, const WeightsFile& file, bool once);

  std::uint64_t bytes() const noexcept { return rows_ * row_bytes_; }
  std::size_t rows() const noexcept { return rows_; }
  /// Of one row of the output.
  std::size_t row_bytes() const noexcept { return row_bytes_; }
  /// How many rows at most are made at once.
  std::size_t tile_rows() const noexcept { return tile_rows_; }

  /// Before the first make() and after the last.
  Result<void> begin();
  void end();

  /// Any number of threads may, each other rows.
  Result<void> make(std::size_t first_row, std::size_t count, std::vector<std::byte>& out) const;

 private:
  template <typename T>
  Result<void> compute(std::size_t first_row, std::size_t count, std::span<const std::byte> from,
                       std::span<std::byte> to) const;

  const OutputTensor& tensor_;
  const WeightsFile& file_;
  bool once_;
  bool wide_;
  bool copies_;  // Bytes come out as they are.
  std::size_t rows_ = 0;
  std::size_t columns_ = 0;
  std::size_t row_bytes_ = 0;
  std::size_t source_row_bytes_ = 0;
  std::size_t tile_rows_ = 1;
  std::unique_ptr<const Dequantizer> dequantizer_;  ///< From begin() to end().
  bool keeps_original_ = false;
};

}  // namespace ferrule::merging
