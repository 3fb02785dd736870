// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "model/base_model.hpp"

namespace ferrule::model {

/// The path that a layer has in the base, if it had `path` in an older transformers 5: classes that
/// were taken apart, which no renaming of checkpoints tells.
std::optional<std::string> moved_module(const BaseIndex& base, const std::string& path);

}  // namespace ferrule::model
