// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <chrono>
#include <optional>

#include "ferrule/error.hpp"
#include "ferrule/hub.hpp"
#include "hub/transport/http_message.hpp"

namespace ferrule::hub {

bool is_redirect(int status) noexcept;

/// Statuses that another try may change.
bool may_pass(int status) noexcept;

/// The pause after try number `tried` where nobody asks for another one.
std::chrono::milliseconds own_pause(int tried, const Settings& settings);

/// The same as the server asks for; nullopt where waiting is of no use.
std::optional<std::chrono::milliseconds> pause_before_next(const Response& response, int tried,
                                                           const Settings& settings);

/// In Error::system_errno of HB-3: the request was on its way when the connection broke.
inline constexpr int kMaybeDone = ECONNABORTED;

/// True where a request may have been carried out although no answer says so.
bool is_ambiguous(const Error& error) noexcept;

}  // namespace ferrule::hub
