// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include "ferrule/result.hpp"
#include "rescue/dtensor.hpp"
#include "rescue/torch_pieces.hpp"

namespace ferrule::rescues {

/// What FSDP1 calls the one parameter that it makes of all parameters of a module.
inline constexpr std::string_view kFlatParameter = "_flat_param";

/// torch's ShardedTensor in a file of one rank, which FSDP1 writes: the whole tensor's shape, and
/// the part that the rank has. nullopt if the value is not one. Fails with RS-16 (several parts, an
/// unknown form) or RS-4 (the part does not fit).
Result<std::optional<LocalShard>> read_sharded_tensor(const TorchState& file, std::string_view name,
                                                      const format::PickleValue& value);

}  // namespace ferrule::rescues
