// SPDX-License-Identifier: Apache-2.0
#include "exit_code.hpp"

#include <cerrno>

#include "ferrule/inspect.hpp"

namespace ferrule::cli {
namespace {

/// True for failures of the machine; false for data that are bad wherever they are read. A link
/// that leads to itself is bad data.
bool is_system_failure(const Error& error) {
  return error.code == ErrorCode::kNotFound ||
         (error.code == ErrorCode::kIo && error.system_errno != ELOOP);
}

}  // namespace

int exit_code(const Error& error, const std::filesystem::path& given) {
  if (error.code == ErrorCode::kInvalidArgument) return kUsage;
  if (error.code == ErrorCode::kNotFound && path_kind(given)) return kBad;
  return is_system_failure(error) ? kSystem : kBad;
}

}  // namespace ferrule::cli
