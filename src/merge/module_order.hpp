// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/base_model.hpp"

namespace ferrule::merging {

/// Puts modules into the order of the model's named_modules(): by its class if that is known, else
/// as far as their names tell.
void sort_as_model(std::vector<std::string>& paths, const model::BaseIndex& base);

/// True if a model registers the module at `a` before the one at `b`, as far as their names tell:
/// layers by number, and what is in them in the order that transformers' classes have.
bool comes_before(std::string_view a, std::string_view b);

}  // namespace ferrule::merging
