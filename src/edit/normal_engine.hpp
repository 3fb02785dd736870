// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "check/engines.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/result.hpp"

namespace ferrule::edit {

/// How the engine treats the adapter once it is in normal form with ranks up to `rank`: warnings
/// and notes. Fails with kUnsupported (NM-10) if it would refuse or silently ignore something that
/// no normal form changes.
Result<std::vector<Finding>> fit_engine(const Adapter& adapter, const checks::EngineAt& engine,
                                        std::uint64_t rank);

}  // namespace ferrule::edit
