// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <span>

#include "hub/transport/http_message.hpp"

namespace ferrule::hub {

/// What an answer says about when to ask again.
struct Pause {
  /// nullopt where nothing is said.
  std::optional<std::chrono::seconds> wait;
  /// The window that is counted has room left, yet the request was refused: a quota that no header
  /// tells of. When it ends is not known.
  bool hidden_quota = false;
};

/// Reads Retry-After (seconds or a date), `RateLimit: "api";r=0;t=55` and its older forms
/// (`limit=.., remaining=.., reset=..`, RateLimit-Remaining and -Reset, the same with X-).
/// `now` is what dates are counted from.
Pause read_pause(std::span<const Header> headers, std::chrono::system_clock::time_point now);

}  // namespace ferrule::hub
