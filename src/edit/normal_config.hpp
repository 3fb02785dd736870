// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "ferrule/adapter_config.hpp"
#include "ferrule/result.hpp"

namespace ferrule::edit {

struct ModuleRank {
  std::string path;
  std::uint64_t rank = 0;
};

/// The config of a plain LoRA with these ranks, in which every module's strength is 1: r is the
/// most frequent rank, others are in rank_pattern and alpha_pattern alike. All other fields stay,
/// except those about an initialization that is long past.
Result<AdapterConfig> normal_config(const AdapterConfig& config, std::span<const ModuleRank> ranks);

}  // namespace ferrule::edit
