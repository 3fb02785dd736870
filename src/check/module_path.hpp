// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace ferrule::checks {

/// The module's own name: what follows the last dot of its path.
inline std::string_view last_part(std::string_view path) {
  return path.substr(path.rfind('.') + 1);
}

}  // namespace ferrule::checks
