// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ferrule/result.hpp"
#include "rescue/torch_pieces.hpp"

namespace ferrule::rescues {

/// A torch DTensor in a file of one rank: the whole tensor's shape, and the part of it that the
/// rank has.
struct LocalShard {
  std::vector<std::uint64_t> shape = {};
  Dtype dtype = Dtype::kF32;
  std::vector<std::uint64_t> offsets = {};
  std::vector<std::uint64_t> sizes = {};
  format::PickleValue local = {};
  /// The rank has nothing of it: `local` and `dtype` are not set.
  bool is_empty = false;
  /// Ranks of the mesh that it is spread over.
  std::uint64_t mesh_size = 1;
};

/// nullopt if the value is not a DTensor. Fails with RS-16 (a placement that is not read) or RS-4
/// (a local part that does not fit its placement).
Result<std::optional<LocalShard>> read_dtensor(const TorchState& file, std::string_view name,
                                               const format::PickleValue& value);

/// Where the part of one rank is: dimension by dimension of the mesh, each divides what is left of
/// a dimension of the tensor into ceil(n / ranks) rows, as torch.chunk does. Exposed for
/// save_shard.
struct MeshDimension {
  std::uint64_t size = 1;
  std::uint64_t coordinate = 0;
  /// The dimension of the tensor that it divides; nullopt if it holds copies.
  std::optional<std::uint64_t> divides = {};
};
void place_shard(std::span<const MeshDimension> mesh, LocalShard& shard);

}  // namespace ferrule::rescues
