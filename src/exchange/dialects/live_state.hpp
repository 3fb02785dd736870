// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "exchange/dialect.hpp"
#include "ferrule/adapter_config.hpp"

namespace ferrule::exchange {

/// The name of the one adapter of PEFT whose live keys ("....lora_A.default.weight") are in a state
/// dict; `what` it is of begins a sentence. Fails with kCorrupt (EX-1: there is none) or
/// kUnsupported (EX-3: several).
Result<std::string> only_adapter(const TensorSource& state, std::string_view what);

/// The sites and extras of the adapter `name` in a live state dict, as save_pretrained would write
/// it. They may refer to the state dict, which `out` does not keep. `path` is for messages.
Result<void> read_live_state(const TensorSource& state, std::string name, AdapterConfig config,
                             const std::filesystem::path& path, const Request& request,
                             Middle& out);

}  // namespace ferrule::exchange
