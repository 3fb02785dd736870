// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ferrule/result.hpp"
#include "merge/method.hpp"

namespace ferrule::merging {

/// The tokens whose rows the tensor holds, in the order of its rows. Fails if the config does not
/// name as many, or one that a weight of that shape does not have.
Result<std::vector<std::uint64_t>> token_rows(const Site& site, const AdapterTensor& tensor,
                                              std::span<const std::uint64_t> weight);

}  // namespace ferrule::merging
