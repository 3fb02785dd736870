// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "ferrule/error.hpp"
#include "hub/transport/http_message.hpp"

namespace ferrule::hub {

/// The error that an answer outside 2xx means. X-Error-Code decides, then a few known texts, then
/// the status. `what` names what was asked for ("the list of files").
Error http_failure(const Response& response, std::string_view what);

/// The server's message, quoted; empty if there is none and for HTML.
std::string server_words(const Response& response);

}  // namespace ferrule::hub
