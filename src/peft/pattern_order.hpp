// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "container/tensor_plan.hpp"
#include "ferrule/adapter_config.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/result.hpp"

namespace ferrule::peft {

/// A module and what its layer has to get when the written config is read again.
struct WantedStrength {
  std::string path;
  std::optional<double> rank;
  std::optional<double> alpha;
};

/// The table in which every one of `wanted` resolves to its value once PEFT has sorted the entries,
/// as it does when it writes. The same table if that is so already; otherwise entries that decide
/// nothing are dropped, and those that would decide too much become one entry a module. `rank`
/// chooses the value; `fallback` is what a module gets that no entry matches.
/// Fails as regex::Pattern does (CF-20, CF-21).
Result<PatternTable> order_free(const PatternTable& table, std::optional<double> fallback,
                                std::span<const WantedStrength> wanted, bool rank);

/// Live scalings by module path, of the model that an adapter is saved from.
using LiveScalings = std::map<std::string, double, std::less<>>;

/// Makes rank_pattern and alpha_pattern mean what the adapter was trained with when they are read
/// again: the ranks that its tensors have, the alphas of the config's own order, and the live
/// scalings where they are known. Findings say what was changed (CF-14), and where a live scaling
/// is not what the config can say (KY-12).
Result<std::vector<Finding>> settle_patterns(AdapterConfig& config,
                                             const container::TensorPlan& tensors,
                                             const LiveScalings& live);

}  // namespace ferrule::peft
