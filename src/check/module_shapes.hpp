// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ferrule/adapter.hpp"
#include "ferrule/finding.hpp"
#include "model/base_model.hpp"
#include "peft/targets.hpp"

namespace ferrule::checks {

/// What is wrong with the shapes of the module's tensors on the base's module at `live`: the first
/// thing, as BS-2 or BS-9; nullopt where all fit, or nothing is known to the contrary.
std::optional<Finding> judge_module(const AdapterConfig& config, const AdapterModule& module,
                                    const model::BaseIndex& base, const std::string& live,
                                    const peft::TargetRule& targets);

/// The highest token index that the config trains in the module at `path`, if it names any.
std::optional<std::uint64_t> highest_token(const AdapterConfig& config, std::string_view path);

}  // namespace ferrule::checks
