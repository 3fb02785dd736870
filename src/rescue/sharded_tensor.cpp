// SPDX-License-Identifier: Apache-2.0
// As torch.save writes it:
//
//   _rebuild_from_type_v2(_rebuild_wrapper_subclass, ShardedTensor, arguments, state)
//
//   state = (local shards, metadata, process group, sharding spec, ...)
//     Shard{tensor, metadata: ShardMetadata{shard_offsets, shard_sizes, placement}}
//     ShardedTensorMetadata{shards_metadata, size, tensor_properties}
#include "rescue/sharded_tensor.hpp"

#include <algorithm>
#include <utility>

#include "base/errors.hpp"
#include "base/shape_text.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "rescue/sources.hpp"

namespace ferrule::rescues {
namespace {

using format::PickleValue;
using format::PickleView;

constexpr std::uint64_t kMaxGroup = 1 << 20;

class ShardedTensorReader {
 public:
  ShardedTensorReader(const TorchState& file, std::string_view name)
      : file_(file), view_(file.view()), name_(name) {}

  Result<std::optional<LocalShard>> read(const PickleValue& value) {
    const auto wrapped = state_of_subclass(view_, value, "ShardedTensor");
    if (!wrapped) return std::optional<LocalShard>();
    const auto state = view_.items(*wrapped);
    if (state.size() < 3) return bad("RS-16", "is a ShardedTensor of an unknown form");
    LocalShard shard;
    FERRULE_TRY(shard.shape, global_shape(state[1]));
    FERRULE_CHECK(read_local(state[0], shard));
    if (const auto world = view_.attribute(state[2], "local_world_size")) {
      const auto ranks = view_.count(*world).value_or(0);
      if (ranks == 0 || ranks > kMaxGroup) {
        return bad("RS-16", "is a ShardedTensor of a group of " + std::to_string(ranks) + " ranks");
      }
      shard.mesh_size = ranks;
    }
    return std::optional<LocalShard>(std::move(shard));
  }

 private:
  Result<std::vector<std::uint64_t>> global_shape(const PickleValue& metadata) const {
    const auto size = view_.attribute(metadata, "size");
    auto shape = size ? view_.counts(*size) : std::nullopt;
    if (!shape || shape->size() > kMaxRank || !byte_size(Dtype::kF64, *shape)) {
      return bad("RS-16", "is a ShardedTensor without a valid size");
    }
    return *std::move(shape);
  }

  Result<void> read_local(const PickleValue& list, LocalShard& shard) const {
    const auto shards = view_.items(list);
    if (!view_.is_sequence(list) || shards.size() > 1) {
      return bad("RS-16", "is a ShardedTensor of " + std::to_string(shards.size()) +
                              " parts on one rank; only one is read");
    }
    shard.offsets.assign(shard.shape.size(), 0);
    shard.sizes.assign(shard.shape.size(), 0);
    shard.is_empty = shards.empty();
    if (shard.is_empty) return {};
    const auto value = view_.attribute(shards[0], "tensor");
    const auto metadata = view_.attribute(shards[0], "metadata");
    const auto offsets = metadata ? view_.attribute(*metadata, "shard_offsets") : std::nullopt;
    auto at = offsets ? view_.counts(*offsets) : std::nullopt;
    if (!value || !at || at->size() != shard.shape.size()) {
      return bad("RS-16", "is a ShardedTensor whose part does not say where it belongs");
    }
    const auto tensor = file_.object().tensor(*value);
    if (!tensor) return bad("RS-16", tensor.error().message);
    if (tensor->shape.size() != shard.shape.size()) {
      return bad("RS-4", "is a ShardedTensor of " + base::shape_text(shard.shape) +
                             ", whose part here is " + base::shape_text(tensor->shape));
    }
    shard.dtype = tensor->dtype;
    shard.local = *value;
    shard.offsets = *std::move(at);
    shard.sizes = tensor->shape;
    return {};
  }

  Error bad(std::string_view rule, std::string what) const {
    return file_.bad(rule, "tensor " + quote(name_) + " " + std::move(what));
  }

  const TorchState& file_;
  PickleView view_;
  std::string_view name_;
};

}  // namespace

Result<std::optional<LocalShard>> read_sharded_tensor(const TorchState& file, std::string_view name,
                                                      const PickleValue& value) {
  return ShardedTensorReader(file, name).read(value);
}

}  // namespace ferrule::rescues
