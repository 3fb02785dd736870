// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "ferrule/text.hpp"

namespace ferrule::peft {

/// `; did you mean "r"?` for the end of a message, or nothing if no candidate is near.
inline std::string did_you_mean(std::string_view word,
                                std::span<const std::string_view> candidates) {
  const auto meant = suggest(word, candidates);
  return meant ? "; did you mean " + quote(*meant) + "?" : std::string();
}

}  // namespace ferrule::peft
