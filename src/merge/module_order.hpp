// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace ferrule::merging {

/// True if a model registers the module at `a` before the one at `b`, as far as their names tell:
/// layers by number, and what is in them in the order that transformers' classes have.
bool comes_before(std::string_view a, std::string_view b);

}  // namespace ferrule::merging
