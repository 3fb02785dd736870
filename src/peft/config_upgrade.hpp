// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "ferrule/finding.hpp"
#include "ferrule/json.hpp"
#include "ferrule/result.hpp"

namespace ferrule::peft {

/// Brings a config of an older PEFT up to date, with a note for each change: BONE is MISS,
/// `runtime_config` goes. Fails with kCorrupt (CF-15) on an old config whose tensors no PEFT of
/// today reads.
Result<void> upgrade_config(Json& document, std::vector<Finding>& findings);

}  // namespace ferrule::peft
