// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "arguments.hpp"

/// Options that take a number.
namespace ferrule::cli {

/// A whole number of at least `least`.
Argument& add_count(Arguments& command, std::string_view spellings,
                    std::optional<std::uint64_t>& value, std::string value_name, std::string help,
                    std::uint64_t least = 1);

/// A number from 0 to 1.
Argument& add_share(Arguments& command, std::string_view spellings, std::optional<double>& value,
                    std::string value_name, std::string help);

/// A finite number, as often as one likes.
Argument& add_numbers(Arguments& command, std::string_view spellings, std::vector<double>& values,
                      std::string value_name, std::string help);

/// `--threads N`: 0 for one each core, which is the default.
void add_threads(Arguments& command, unsigned& threads);

}  // namespace ferrule::cli
