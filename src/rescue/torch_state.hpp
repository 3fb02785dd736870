// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "ferrule/result.hpp"
#include "rescue/dtensor.hpp"
#include "rescue/torch_pieces.hpp"

namespace ferrule::rescues {

struct NamedValue {
  std::string_view name;
  format::PickleValue value;
};

/// The tensors of a state dict, wherever in a trainer's dictionary it is.
struct StateValues {
  std::vector<NamedValue> values;
  bool has_optimizer = false;
};

/// Fails with RS-10: an optimizer's state alone, or no dictionary.
Result<StateValues> state_of(const TorchState& file);

/// The part of a tensor that a rank has, of a DTensor or a ShardedTensor; nullopt for plain
/// tensors.
Result<std::optional<LocalShard>> read_shard(const TorchState& file, std::string_view name,
                                             const format::PickleValue& value);

/// The step that a trainer's dictionary says.
std::optional<std::int64_t> step_of(const format::PickleView& view);

}  // namespace ferrule::rescues
