// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ferrule/result.hpp"
#include "io/output_file.hpp"
#include "merge/base_files.hpp"
#include "merge/plan.hpp"

namespace ferrule::merging {

/// A tensor of an output file.
struct OutputTensor {
  std::string name;
  Dtype dtype = Dtype::kF32;
  const DiskTensor* source = nullptr;
  const TensorPlan* plan = nullptr;  ///< None if only the dtype may change.
};

/// A file of weights as it comes out.
struct OutputShard {
  const WeightsFile* file = nullptr;
  std::vector<OutputTensor> tensors;  ///< Those of the file in their order, then added ones.
  /// Names, dtypes or shapes differ from the file's.
  bool new_header = false;
  /// Nothing differs: the file itself will do.
  bool unchanged = false;

  std::uint64_t data_bytes() const noexcept;
};

struct ShardOptions {
  /// Updates are added in double and rounded once at the end.
  bool once = false;
  unsigned threads = 1;
};

/// Writes the shard in the format of its file. Memory stays at a few megabytes for each thread
/// while only thin products are added; other methods need their weight whole.
Result<void> write_shard(const OutputShard& shard, const ShardOptions& options,
                         io::OutputFile& out);

}  // namespace ferrule::merging
