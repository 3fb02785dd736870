// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "exchange/dialect.hpp"

namespace ferrule::exchange {

// What a folder of AdapterHub's library `adapters` consists of.
inline constexpr const char* kAdapterHubTorchFile = "pytorch_adapter.bin";
inline constexpr const char* kAdapterHubSafeFile = "adapter.safetensors";
/// Between a module's path and the adapter's name in a key.
inline constexpr std::string_view kAdapterHubLoras = ".loras.";

/// Dialect::write() of `adapterhub`: LoRA, or IA3 that multiplies outputs.
Result<Plan> write_adapterhub(const Middle& middle, const Request& request, Ledger& ledger);

}  // namespace ferrule::exchange
