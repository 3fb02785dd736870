// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

namespace ferrule::peft {

/// What the key of a tensor in a PeftModel starts with, in front of the module's path in the base.
inline constexpr std::string_view kModelPrefix = "base_model.model.";

/// The components of a dotted key; views into it.
std::vector<std::string_view> split(std::string_view key);

}  // namespace ferrule::peft
