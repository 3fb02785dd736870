// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ferrule/result.hpp"
#include "ferrule/tensor_source.hpp"

namespace ferrule::container {

/// `*.safetensors.index.json`, and torch's `*.bin.index.json`: which tensor is in which file next
/// to it.
///
///   {"metadata": {"total_size": 123},                       (not used: nothing depends on it)
///    "weight_map": {"model.embed_tokens.weight": "model-00001-of-00002.safetensors",
///                   "model.norm.weight":         "model-00002-of-00002.safetensors", ...}}
///
/// 1. parse_sharded_index: strict JSON of bounded size with that map (ST-20), names to strings
///    (ST-21), which are plain file names and cannot leave the directory (ST-22).
/// 2. The caller opens each shard in the directory of the index, so that all are of one generation.
/// 3. check_shard: the shard has all tensors that the map expects in it (ST-23) and no others
///    (ST-24). So no shard can be swapped for another one without notice.
struct ShardedIndex {
  struct Shard {
    /// A plain name in the directory of the index.
    std::string file;
    /// The tensors that must be in it, sorted.
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
