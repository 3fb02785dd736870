// SPDX-License-Identifier: Apache-2.0
#include "base/errors.hpp"

#include <utility>

namespace ferrule::base {

Error make_error(ErrorCode code, std::string_view rule, std::string message) {
  return {.code = code, .rule = std::string(rule), .message = std::move(message)};
}

Error invalid(std::string_view rule, std::string message) {
  return make_error(ErrorCode::kInvalidArgument, rule, std::move(message));
}

Error invalid(std::string message) { return invalid({}, std::move(message)); }

Error not_found(std::string_view rule, std::string message) {
  return make_error(ErrorCode::kNotFound, rule, std::move(message));
}

Error not_found(std::string message) { return not_found({}, std::move(message)); }

Error corrupt(std::string_view rule, std::string message) {
  return make_error(ErrorCode::kCorrupt, rule, std::move(message));
}

Error corrupt(std::string message) { return corrupt({}, std::move(message)); }

Error unsupported(std::string_view rule, std::string message) {
  return make_error(ErrorCode::kUnsupported, rule, std::move(message));
}

Error unsupported(std::string message) { return unsupported({}, std::move(message)); }

Error over_limit(std::string_view rule, std::string message) {
  return make_error(ErrorCode::kLimitExceeded, rule, std::move(message));
}

Error over_limit(std::string message) { return over_limit({}, std::move(message)); }

Error at(Error error, std::string path) {
  error.path = std::move(path);
  return error;
}

}  // namespace ferrule::base
