// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ferrule::base {

/// An untrusted name made safe to print: in double quotes, control characters, quotes, backslashes,
/// bidirectional and invisible marks and invalid UTF-8 escaped, cut with "..." after `limit` bytes.
std::string quote(std::string_view text, std::size_t limit = 200);

/// The same without the surrounding quotes, for places that have marks of their own (paths at the
/// start of a line, cells of a table).
std::string printable(std::string_view text, std::size_t limit = 4096);

}  // namespace ferrule::base
