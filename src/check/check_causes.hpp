// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "check/adapter_match.hpp"
#include "ferrule/finding.hpp"
#include "model/base_model.hpp"

namespace ferrule::checks {

/// The base's module that `path` means if only what is in front of it differs (a wrapper's prefix
/// too many or too few), or nullopt where there is none or more than one.
std::optional<std::string> other_prefix(const model::BaseIndex& base, std::string_view path);

/// `path` without what torch.compile, FSDP, DDP and activation checkpointing put into names.
std::string without_training_wrappers(std::string_view path);

/// Findings for the modules that the base lacks: the most likely cause, and the nearest name.
std::vector<Finding> explain_absent(const Adapter& adapter, const model::BaseIndex& base,
                                    const MatchResult& match);

}  // namespace ferrule::checks
