// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "check/live_config.hpp"
#include "ferrule/finding.hpp"
#include "model/base_model.hpp"
#include "peft/targets.hpp"

namespace ferrule::checks {

/// Whether a method of PEFT takes modules of that kind (a letter of model::ModuleKind).
bool adapts(std::string_view peft_type, char kind) noexcept;

/// What PEFT raises an error for when it puts the adapter on the base: targets that are not a layer
/// it can adapt (BS-24), and fused parameters under a config that their wrapper refuses (BS-25).
/// Fails with kLimitExceeded (CF-22).
Result<std::vector<Finding>> judge_targets(const LiveConfig& live, const model::BaseIndex& base,
                                           const peft::TargetRule& targets);

/// The fields for which PEFT's wrapper of a fused parameter raises ValueError.
std::vector<std::string_view> refused_fields(const AdapterConfig& config, bool has_linear);

}  // namespace ferrule::checks
