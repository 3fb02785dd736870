// SPDX-License-Identifier: Apache-2.0
#include "peft/key_path.hpp"

namespace ferrule::peft {

std::vector<std::string_view> split(std::string_view key) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto dot = key.find('.');
    parts.push_back(key.substr(0, dot));
    if (dot == std::string_view::npos) return parts;
    key.remove_prefix(dot + 1);
  }
}

}  // namespace ferrule::peft
