// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include "ferrule/adapter.hpp"

namespace ferrule::adapter {

/// PEFT makes factors of no more than all singular values there are, when it decomposes the base's
/// weight, whatever rank the config gives; a load does the same again.
inline bool is_cut_to_layer(const AdapterConfig& config, const AdapterModule& module,
                            std::uint64_t wanted) {
  const auto init = config.text("init_lora_weights").value_or("");
  if (config.peft_type() != "LORA" || (init != "pissa" && init != "olora" && init != "loftq")) {
    return false;
  }
  const auto* a = module.find("lora_A");
  const auto* b = module.find("lora_B");
  if (a == nullptr || b == nullptr) return false;
  const auto down = a->tensor.shape();
  const auto up = b->tensor.shape();
  return down.size() == 2 && up.size() == 2 && down[0] == up[1] && down[0] < wanted &&
         down[0] == std::min(down[1], up[0]);
}

}  // namespace ferrule::adapter
