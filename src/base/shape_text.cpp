// SPDX-License-Identifier: Apache-2.0
#include "base/shape_text.hpp"

namespace ferrule::base {

std::string shape_text(std::span<const std::uint64_t> shape) {
  std::string text = "[";
  for (const auto extent : shape) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(extent);
  }
  return text + "]";
}

}  // namespace ferrule::base
