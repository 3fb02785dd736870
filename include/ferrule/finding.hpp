// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/error.hpp"
#include "ferrule/export.hpp"

namespace ferrule {

enum class Severity : std::uint8_t {
  /// It cannot be loaded, or would do nothing or something else than it says.
  kError,
  /// It loads, and a careful owner would want to know.
  kWarning,
  /// A fact worth saying: something inferred, left out, or converted.
  kNote,
};

/// "error", "warning" or "note".
FERRULE_API std::string_view severity_name(Severity severity) noexcept;

/// One thing a check has to say. Untrusted names in `message` are quoted already; `path` and `key`
/// are raw.
struct Finding {
  Severity severity = Severity::kError;
  /// As numbered in docs/rules ("AD-3").
  std::string rule = {};
  /// The file or directory it concerns.
  std::string path = {};
  /// The tensor, config field or module it concerns; may be empty.
  std::string key = {};
  /// One sentence: what was expected, what was found.
  std::string message = {};
  /// What to do about it; may be empty.
  std::string advice = {};
};

/// True where at least one finding is an error.
FERRULE_API bool has_error(const std::vector<Finding>& findings) noexcept;

/// The failure as a finding of severity kError.
FERRULE_API Finding to_finding(const Error& error);

}  // namespace ferrule
