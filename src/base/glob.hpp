// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace ferrule::base {

/// True if the whole text matches: `*` is any text, '/' and '.' included, `?` any character.
bool glob_matches(std::string_view glob, std::string_view text) noexcept;

}  // namespace ferrule::base
