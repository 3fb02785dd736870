// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "arguments.hpp"
#include "ferrule/factored_module.hpp"

namespace ferrule::cli {

/// Prints where an adapter was written, how many modules and parameters it has, and how far its
/// updates are from the exact ones, over all and in the worst module.
void print_factored(const std::string& output, const std::vector<FactoredModule>& modules,
                    std::uint64_t parameters, double relative_error);

/// `--report FILE`: a page of HTML with the spectrum of each module.
void add_report(Arguments& command, std::string& file);

/// Writes that page if `file` is not empty; an exit code.
int write_report(const std::string& file, const std::vector<FactoredModule>& modules,
                 const std::string& output, bool json);

}  // namespace ferrule::cli
