// SPDX-License-Identifier: Apache-2.0
#include "exit_code.hpp"

namespace ferrule::cli {

int exit_code(const Error& error) {
  if (error.code == ErrorCode::kInvalidArgument) return kUsage;
  return is_system_failure(error) ? kSystem : kBad;
}

}  // namespace ferrule::cli
