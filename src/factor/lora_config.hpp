// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "ferrule/adapter_config.hpp"
#include "ferrule/result.hpp"

namespace ferrule::factor {

/// What a module's factors are to be multiplied with is alpha / rank.
struct ModuleRank {
  /// As AdapterModule::path().
  std::string path;
  std::uint64_t rank = 1;
  double alpha = 1;
};

/// Sets r, lora_alpha, rank_pattern and alpha_pattern so that PEFT makes every module with its
/// rank and alpha: the most frequent pair in r and lora_alpha, others in patterns. rsLoRA is
/// turned off, and fields about an initialization that is long past are reset. Fails with
/// kUnsupported (FA-6) if no patterns tell the modules apart.
Result<void> set_ranks(AdapterConfig& config, std::span<const ModuleRank> modules);

}  // namespace ferrule::factor
