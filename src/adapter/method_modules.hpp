// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ferrule/adapter.hpp"
#include "ferrule/adapter_config.hpp"

namespace ferrule::adapter {

/// True for a role of the adapter's own method ("lora_A"), as opposed to what every method may
/// carry (a module saved in full, a bias, an embedding, trained tokens).
bool is_method_role(const AdapterConfig& config, std::string_view role);

/// True if the module of the base is adapted by the method itself.
bool has_method_tensors(const AdapterConfig& config, const AdapterModule& module);

}  // namespace ferrule::adapter
