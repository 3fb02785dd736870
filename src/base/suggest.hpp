// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace ferrule::base {

/// The candidate that was most likely meant by `word` (edit distance with transpositions, at most a
/// third of its length), or nullopt where none is close.
std::optional<std::string_view> suggest(std::string_view word,
                                        std::span<const std::string_view> candidates);

}  // namespace ferrule::base
