// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ferrule/export.hpp"

namespace ferrule {

/// What a caller can do about a failure. This set is final.
enum class ErrorCode : std::uint8_t {
  /// The request is not valid (an unknown adapter name, an impossible option): correct the call.
  kInvalidArgument,
  /// The named file, directory or adapter does not exist. `system_errno` is set if the system said
  /// so of a path that the caller gave, and 0 if data refer to something that is missing.
  kNotFound,
  /// The operating system refused; `system_errno` gives the reason. Trying again may help.
  kIo,
  /// The data break a rule of their format; `rule` names it. Trying again will not help.
  kCorrupt,
  /// The data are in a format, or use a feature, that Ferrule does not handle.
  kUnsupported,
  /// The data asks for more memory or time than the limits in force allow.
  kLimitExceeded,
};

/// The name of `code` as written in JSON output: "invalid_argument", "not_found", "io",
/// "corrupt", "unsupported", "limit_exceeded".
FERRULE_API std::string_view error_code_name(ErrorCode code) noexcept;

/// Why an operation did not happen. Owns its text; untrusted names in `message` are already quoted.
struct Error {
  ErrorCode code = ErrorCode::kCorrupt;
  /// The rule that was broken, as numbered in docs/rules ("ST-7"); empty if no rule applies.
  std::string rule = {};
  /// One sentence without a trailing full stop: what was expected, what was found.
  std::string message = {};
  /// The file or directory it concerns, as the caller named it; may be empty.
  std::string path = {};
  /// errno of the failed call, or 0.
  int system_errno = 0;
  /// The status of the HTTP answer that refused, or 0 if no server was asked or none answered.
  int http_status = 0;
  /// The server's name for that request, to quote when asking its owners; may be empty.
  std::string request_id = {};

  /// "path: [rule] message", leaving out what is empty.
  FERRULE_API std::string to_string() const;
};

/// True if the machine failed: the file could not be read or written, or the path does not exist.
/// Trying again, or elsewhere, can help. False if the request or the data are at fault, and the
/// same bytes would be refused on every machine; a link that leads to itself counts as such data.
FERRULE_API bool is_system_failure(const Error& error) noexcept;

}  // namespace ferrule
