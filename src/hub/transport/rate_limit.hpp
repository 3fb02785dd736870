// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <span>

#include "hub/transport/http_message.hpp"

namespace ferrule::hub {

/// When to ask again, according to an answer.
struct Pause {
  /// nullopt if the answer does not say.
  std::optional<std::chrono::seconds> wait;
  /// The request was refused although its window has room left: there is a quota that no header
  /// describes, and when it ends is not known.
  bool hidden_quota = false;
};

/// Reads Retry-After (seconds or a date), `RateLimit: "api";r=0;t=55` and its older forms
/// (`limit=.., remaining=.., reset=..`, RateLimit-Remaining and -Reset, the same with X-).
/// `now` is what dates are counted from.
Pause read_pause(std::span<const Header> headers, std::chrono::system_clock::time_point now);

}  // namespace ferrule::hub
