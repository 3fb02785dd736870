// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "ferrule/json.hpp"

namespace ferrule::cli {

/// The value of `key=value` on the command line: JSON where it is JSON; True, False and None as
/// Python has them; names with commas between them as a list ("q_proj,v_proj", and "q_proj," for a
/// list of one); any other text as it stands.
Json field_value(std::string_view text);

}  // namespace ferrule::cli
