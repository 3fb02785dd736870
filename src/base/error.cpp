// SPDX-License-Identifier: Apache-2.0
#include "ferrule/error.hpp"

#include <cerrno>
#include <exception>
#include <stdexcept>

#include "ferrule/result.hpp"
#include "ferrule/text.hpp"

namespace ferrule {

std::string_view error_code_name(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return "invalid_argument";
    case ErrorCode::kNotFound:
      return "not_found";
    case ErrorCode::kIo:
      return "io";
    case ErrorCode::kCorrupt:
      return "corrupt";
    case ErrorCode::kUnsupported:
      return "unsupported";
    case ErrorCode::kLimitExceeded:
      return "limit_exceeded";
  }
  return "corrupt";
}

bool is_system_failure(const Error& error) noexcept {
  if (error.code == ErrorCode::kNotFound) return error.system_errno != 0;
  return error.code == ErrorCode::kIo && error.system_errno != ELOOP;
}

std::string Error::to_string() const {
  std::string text;
  if (!path.empty()) text += printable(path) + ": ";
  if (!rule.empty()) text += "[" + rule + "] ";
  return text + message;
}

void bad_result_access(const Error* error) {
#if defined(__cpp_exceptions)
  throw std::logic_error(error != nullptr
                             ? "ferrule: value read from a failed Result: " + error->to_string()
                             : std::string("ferrule: error read from a Result that holds a value"));
#else
  static_cast<void>(error);
  std::terminate();
#endif
}

}  // namespace ferrule
