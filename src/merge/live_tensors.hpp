// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/result.hpp"
#include "merge/base_files.hpp"
#include "model/base_model.hpp"

namespace ferrule::merging {

/// Where a tensor on disk is in a parameter of the live model, both seen as stacks of matrices:
/// [experts, rows, columns], one expert for all that have two extents.
struct Part {
  const DiskTensor* disk = nullptr;
  std::size_t expert = 0;    ///< Of the live parameter.
  std::size_t row = 0;       ///< The first live row.
  std::size_t disk_row = 0;  ///< The first row on disk.
  std::size_t rows = 0;      ///< Live rows; 0 for all.
  bool transposed = false;   ///< Rows of the live matrix are columns on disk.
  /// It is the whole parameter as it is, in the same layout.
  bool is_whole = false;
};

/// A parameter of the live model.
struct LiveTensor {
  std::vector<std::uint64_t> shape;
  std::vector<Part> parts;
  /// A converter makes it whose effect is not followed: it cannot be changed.
  bool is_known = true;
};

/// The live model's parameters by name, and where they are on disk: transformers 5 gives many of
/// them other names, puts experts together and takes fused projections apart when it loads a
/// checkpoint.
class LiveTensors {
 public:
  static Result<LiveTensors> read(const BaseFiles& files, const model::BaseIndex& base);

  /// The parameter itself, ties not followed; nullptr if it is not on disk.
  const LiveTensor* find(std::string_view name) const noexcept;
  /// The tensor on disk that is the parameter; nullptr if not one alone is.
  const DiskTensor* whole(std::string_view name) const noexcept;
  const std::map<std::string, LiveTensor, std::less<>>& all() const noexcept { return tensors_; }

 private:
  std::map<std::string, LiveTensor, std::less<>> tensors_;
};

}  // namespace ferrule::merging
