// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace ferrule::cli {

/// The words of `text` in lines of at most `columns` characters; a longer word has its own line.
/// No line for an empty text.
std::vector<std::string> wrap(std::string_view text, std::size_t columns);

}  // namespace ferrule::cli
