// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "ferrule/adapter.hpp"
#include "ferrule/finding.hpp"

namespace ferrule::checks {

/// What values alone show, as errors: non-finite ones (AD-20), and B of zeros, with which an
/// adapter does nothing (AD-21; a warning where only some modules are such). Reads every tensor.
std::vector<Finding> judge_values(const Adapter& adapter);

}  // namespace ferrule::checks
