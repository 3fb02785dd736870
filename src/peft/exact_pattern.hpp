// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace ferrule::peft {

/// An expression for rank_pattern and alpha_pattern that matches this path and no other, as PEFT
/// puts `(.*\.)?` in front of an entry and `$` after it.
inline std::string exact_pattern(std::string_view path) {
  std::string out = "^";
  for (const char c : path) {
    if (std::string_view("\\.^$|()[]{}*+?").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

}  // namespace ferrule::peft
