// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "check/engines.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/finding.hpp"

namespace ferrule::checks {

/// What the engine would make of the adapter: BS-20 (refused), BS-21 (ignored), BS-22 (another
/// strength), BS-23 (not known).
std::vector<Finding> judge_for_engine(const Adapter& adapter, const Engine& engine);

}  // namespace ferrule::checks
