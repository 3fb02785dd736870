// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ferrule/save_pretrained.hpp"

namespace ferrule::cli {

/// What was saved and where, both sizes, what was inferred or left out.
void print_report(const SaveReport& report);

}  // namespace ferrule::cli
