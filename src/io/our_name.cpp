// SPDX-License-Identifier: Apache-2.0
#include "io/our_name.hpp"

namespace ferrule::io {

bool is_our_name(std::string_view name) noexcept {
  constexpr std::string_view kPrefix = ".ferrule-";
  if (name.substr(0, kPrefix.size()) != kPrefix) return false;
  name.remove_prefix(kPrefix.size());
  return name == "stage" || name == "pending" ||
         (name.size() == 16 && name.find_first_not_of("0123456789abcdef") == name.npos);
}

}  // namespace ferrule::io
