// SPDX-License-Identifier: Apache-2.0
#pragma once

// The `.metadata` of torch's distributed checkpoints (DCP), a pickle of
// torch.distributed.checkpoint.metadata.Metadata (rules: docs/rules/RS.md, PK-22):
//
//   state_dict_metadata   {name: TensorStorageMetadata(properties, size, chunks) | Bytes...}
//   planner_data          {name: path of keys in the nested state dict}
//   storage_data          {MetadataIndex(name, offset, index): _StorageInfo(file, offset, length)}
//
// A file `__RANK_N.distcp` is a sequence of items without gaps; each is a whole file of torch.save.

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "ferrule/dtype.hpp"
#include "ferrule/result.hpp"

namespace ferrule::format {

/// A box of a tensor, and the item that holds it.
struct DcpChunk {
  std::vector<std::uint64_t> offsets;
  std::vector<std::uint64_t> sizes;
  std::string file;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

struct DcpTensor {
  /// Its key in the flattened state dict.
  std::string name;
  /// The keys that lead to it in the state dict that was saved; only `name` if that was flat.
  std::vector<std::string> path;
  Dtype dtype = Dtype::kF32;
  std::vector<std::uint64_t> shape;
  /// Without those that are empty.
  std::vector<DcpChunk> chunks;
};

/// An item that is not a tensor: any object, as torch.save writes it.
struct DcpObject {
  std::string name;
  std::string file;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

struct DcpMetadata {
  std::vector<DcpTensor> tensors;
  /// Those that a file holds.
  std::vector<DcpObject> objects;
  /// Items that are not tensors.
  std::uint64_t others = 0;
  /// Each file, and where its last item ends.
  std::map<std::string, std::uint64_t> files;
};

/// Fails with kCorrupt or kUnsupported (RS-2, PK-*). Numbers are checked against each other, not
/// against the files.
Result<DcpMetadata> read_dcp_metadata(std::span<const std::byte> bytes);

}  // namespace ferrule::format
