// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "factor/extract_plan.hpp"
#include "factor/lora_config.hpp"
#include "ferrule/adapter_config.hpp"
#include "ferrule/result.hpp"

namespace ferrule::factor {

/// How a tensor that is not a factor is kept.
enum class Keeping : std::uint8_t {
  kModule,  ///< Its module is saved in full.
  kBias,    ///< It is the bias of a layer that is adapted.
  kNot,     ///< PEFT has no way to keep it.
};
Keeping keeping_of(const ExtractPlan& plan, const TensorPair& other);

/// The module that owns the tensor: its name without the last component.
std::string module_of(const TensorPair& pair);

/// The config of a LoRA of these modules, with everything else of the plan kept if `keeps`.
Result<AdapterConfig> extracted_config(const ExtractPlan& plan, const BaseModel& base,
                                       const std::filesystem::path& base_path,
                                       std::span<const ModuleRank> modules, bool keeps);

/// Names for target_modules that fit the `paths` and none of `others`: their last components, or
/// else the paths.
Json target_names(std::span<const ModuleRank> modules, std::span<const std::string> others);

}  // namespace ferrule::factor
