// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "container/tensor_plan.hpp"
#include "ferrule/adapter_config.hpp"
#include "ferrule/result.hpp"

namespace ferrule::peft {

/// prepare_model_for_compiled_hotswap pads the factors of LORA with zeros up to a common rank, and
/// PEFT saves them so, with the config's own rank: a file that it cannot load. Cuts what is past
/// the rank that the config gives a module, if all of it is zero; the update stays what it is.
/// Returns the number of modules that were cut. Fails as StrengthResolver does.
Result<std::size_t> cut_rank_padding(const AdapterConfig& config, container::TensorPlan& tensors);

}  // namespace ferrule::peft
