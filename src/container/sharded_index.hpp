// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ferrule/result.hpp"
#include "ferrule/tensor_source.hpp"

namespace ferrule::container {

/// `*.safetensors.index.json` (and torch's like): which tensor stands in which file beside it.
struct ShardedIndex {
  struct Shard {
    /// A plain name in the directory of the index.
    std::string file;
    /// The tensors that must stand in it, sorted.
    std::vector<std::string> tensors;
  };
  /// Sorted by file name.
  std::vector<Shard> shards;
};

/// Reads the text of an index (rules ST-20 to ST-22). Fails with kCorrupt.
Result<ShardedIndex> parse_sharded_index(std::string_view json);

/// ST-23, ST-24: `source` holds every tensor that the index expects in it, and no other. A name
/// that save_model dropped as shared counts as held.
Result<void> check_shard(const ShardedIndex::Shard& shard, const TensorSource& source);

}  // namespace ferrule::container
