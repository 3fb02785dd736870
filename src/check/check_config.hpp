// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "check/adapter_match.hpp"
#include "check/live_config.hpp"
#include "ferrule/finding.hpp"
#include "model/base_model.hpp"
#include "peft/targets.hpp"

namespace ferrule::checks {

/// What config, file and base have to say to each other: targets without tensors (BS-10), tensors
/// without a target (BS-11), modules of the base that the file leaves out (BS-12), what changes the
/// base for all (BS-13), packed weights (BS-14), another base than at save (BS-15),
/// modules_to_save against the modules that the base has (BS-27).
/// Fails with kLimitExceeded on an expression that takes too long.
Result<std::vector<Finding>> compare_config(const Adapter& adapter, const LiveConfig& live,
                                            const model::BaseIndex& base, const MatchResult& match,
                                            const peft::TargetRule& targets);

/// What a config.json alone can speak against (BS-8, BS-9, BS-2).
std::vector<Finding> compare_with_config_alone(const Adapter& adapter,
                                               const model::BaseIndex& base);

/// Prompts against the width of the base, which is in its config.
std::vector<Finding> compare_prompt(const Adapter& adapter, const model::BaseIndex& base);

}  // namespace ferrule::checks
