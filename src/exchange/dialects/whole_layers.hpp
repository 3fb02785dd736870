// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "exchange/base_facts.hpp"
#include "exchange/middle.hpp"
#include "ferrule/result.hpp"

namespace ferrule::exchange {

/// A module of a layer, by its name below the layer: "mlp.down_proj".
struct LayerModule {
  std::string name;
  /// Its sizes are those of its neighbors the other way round: a layer's last matrix.
  bool is_last = false;
  /// {in, out}, if neither another layer nor a neighbor says them; {0, 0} if that is not known.
  std::pair<std::uint64_t, std::uint64_t> size = {0, 0};
};

/// Modules that have LoRA together, in all layers: one switch of a program.
using LayerSwitch = std::vector<LayerModule>;

/// Adds sites with zeros in B where a switch is on and a module of it has no adapter: programs
/// whose switches are for whole models want a tensor for each. `layers` is in front of a layer's
/// number
/// ("model.layers."); there are as many layers as the base says, or as the sites have. Fails with
/// kUnsupported (EX-3) if the sites have magnitudes of DoRA, which depend on the base's weights.
Result<void> complete_layers(std::vector<Site>& sites, std::string_view layers,
                             std::span<const LayerSwitch> switches, const BaseFacts& base,
                             std::string_view program);

}  // namespace ferrule::exchange
