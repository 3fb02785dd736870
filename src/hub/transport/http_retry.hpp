// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <chrono>
#include <optional>

#include "ferrule/error.hpp"
#include "ferrule/hub.hpp"
#include "hub/transport/http_message.hpp"

namespace ferrule::hub {

/// Redirects that a request follows one after the other.
inline constexpr int kMaxRedirects = 20;

/// Addresses that are asked for one after the other if a store refuses them as expired.
inline constexpr int kFreshAddresses = 4;

bool is_redirect(int status) noexcept;

/// Whether another try may get another status: 408, 429, 500, 502, 503, 504.
bool may_pass(int status) noexcept;

/// The pause after try number `tried` (from 1) if the server does not ask for one.
std::chrono::milliseconds own_pause(int tried, const Settings& settings);

/// The pause that the server asks for, or own_pause(); nullopt if waiting would not help.
std::optional<std::chrono::milliseconds> pause_before_next(const Response& response, int tried,
                                                           const Settings& settings);

/// In Error::system_errno of HB-3: the connection broke after the request was sent.
inline constexpr int kMaybeDone = ECONNABORTED;

/// True if the request may have been carried out although no answer says so.
bool is_ambiguous(const Error& error) noexcept;

}  // namespace ferrule::hub
