// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ferrule/export.hpp"

namespace ferrule {

/// An untrusted name made safe to print: in double quotes, control characters, quotes, backslashes,
/// bidirectional and invisible marks and invalid UTF-8 escaped, cut with "..." after `limit` bytes.
FERRULE_API std::string quote(std::string_view text, std::size_t limit = 200);

/// The same without the surrounding quotes, for places that have marks of their own (paths at the
/// start of a line, cells of a table).
FERRULE_API std::string printable(std::string_view text, std::size_t limit = 4096);

/// The candidate that was most likely meant by `word` (edit distance with transpositions: at most a
/// third of its length, but one edit always), or nullopt if none is close.
FERRULE_API std::optional<std::string_view> suggest(std::string_view word,
                                                    std::span<const std::string_view> candidates);

}  // namespace ferrule
