// SPDX-License-Identifier: Apache-2.0
#include "io/transaction/working_directory.hpp"

#include <limits.h>

#include <array>
#include <string_view>

#include "io/syscalls.hpp"

namespace ferrule::io {

bool holds_working_directory(const std::string& directory) noexcept {
  std::array<char, PATH_MAX> buffer;
  if (sys().realpath(".", buffer.data()) == nullptr) return false;
  const std::string_view here(buffer.data());
  return here == directory ||
         (here.size() > directory.size() && here.substr(0, directory.size()) == directory &&
          here[directory.size()] == '/');
}

}  // namespace ferrule::io
