// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ferrule/export.hpp"

namespace ferrule {

/// What a caller can do about a failure. Closed: no seventh code will come.
enum class ErrorCode : std::uint8_t {
  /// The request makes no sense (an unknown adapter name, an impossible option): correct the call.
  kInvalidArgument,
  /// The named file, directory or adapter does not exist.
  kNotFound,
  /// The operating system refused; `system_errno` says why. Trying again may help.
  kIo,
  /// The data break a rule of their format; `rule` names it. Trying again will not help.
  kCorrupt,
  /// The data are something Ferrule knows and does not handle, or something else altogether.
  kUnsupported,
  /// The data ask for more memory or time than the limits in force allow.
  kLimitExceeded,
};

/// The name of `code` as it stands in JSON output: "invalid_argument", "not_found", "io",
/// "corrupt", "unsupported", "limit_exceeded".
FERRULE_API std::string_view error_code_name(ErrorCode code) noexcept;

/// Why an operation did not happen. Owns its text; untrusted names in `message` are quoted already.
struct Error {
  ErrorCode code = ErrorCode::kCorrupt;
  /// The rule that was broken, as numbered in docs/rules ("ST-7"); empty where no rule applies.
  std::string rule = {};
  /// One sentence without a trailing full stop: what was expected, what was found.
  std::string message = {};
  /// The file or directory it concerns, as the caller named it; may be empty.
  std::string path = {};
  /// errno of the failed call, or 0.
  int system_errno = 0;
  /// The status of the HTTP answer that refused, or 0 where no server was asked or none answered.
  int http_status = 0;
  /// What the server calls that request, for whoever asks its owners; may be empty.
  std::string request_id = {};

  /// "path: [rule] message", leaving out what is empty.
  FERRULE_API std::string to_string() const;
};

}  // namespace ferrule
