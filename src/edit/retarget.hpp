// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "ferrule/adapter_config.hpp"
#include "model/base_model.hpp"

namespace ferrule::edit {

/// Adapted modules by their old path, and where they are now.
using Moves = std::map<std::string, std::string>;

/// `config` made to target exactly the new paths on that base, each with the rank and strength that
/// `before` gives its old path: by the same targets, else by the modules' own names, else by full
/// paths. nullopt if none of them does it.
std::optional<AdapterConfig> retarget(const AdapterConfig& before, const Moves& moves,
                                      const model::BaseIndex& base);

/// rank_pattern and alpha_pattern that give each path that rank and strength, besides the defaults
/// of the config. False if the config cannot hold them.
struct Wanted {
  double rank = 0;
  double strength = 0;
};
bool set_strengths(AdapterConfig& config, const std::map<std::string, Wanted>& wanted);

/// A number as the config's own JSON has it: an integer if it is one.
Json plain_number(double value);

}  // namespace ferrule::edit
