// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ferrule/factored_module.hpp"

namespace ferrule::cli {

/// Prints where an adapter was written, how many modules and parameters it has, and how far its
/// updates are from the exact ones, over all and in the worst module.
void print_factored(const std::string& output, const std::vector<FactoredModule>& modules,
                    std::uint64_t parameters, double relative_error);

}  // namespace ferrule::cli
