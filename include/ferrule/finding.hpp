// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "ferrule/error.hpp"
#include "ferrule/export.hpp"

namespace ferrule {

enum class Severity : std::uint8_t {
  /// It cannot be loaded, or it would have no effect, or another effect than it claims.
  kError,
  /// It loads, but its owner should know.
  kWarning,
  /// A fact to report: something was inferred, left out, or converted.
  kNote,
};

/// "error", "warning" or "note".
FERRULE_API std::string_view severity_name(Severity severity) noexcept;

/// One result of a check. Untrusted names in `message` are already quoted; `path` and `key`
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
  /// The module of the base model it concerns, if one is known; empty otherwise.
  std::string module = {};
};

/// True if at least one finding is an error.
FERRULE_API bool has_error(std::span<const Finding> findings) noexcept;

/// Errors first, then warnings, then notes; otherwise in the order they have.
FERRULE_API void sort_by_severity(std::span<Finding> findings);

/// The failure as a finding of severity kError.
FERRULE_API Finding to_finding(const Error& error);

}  // namespace ferrule
