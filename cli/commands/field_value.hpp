// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "ferrule/json.hpp"

namespace ferrule::cli {

/// The value of `key=value` on the command line: JSON if it parses as JSON; Python's True, False
/// and None; names with commas between them as a list ("q_proj,v_proj", and "q_proj," for a list of
/// one); any other text unchanged.
Json field_value(std::string_view text);

}  // namespace ferrule::cli
