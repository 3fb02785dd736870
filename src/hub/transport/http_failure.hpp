// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "ferrule/error.hpp"
#include "hub/transport/http_message.hpp"

namespace ferrule::hub {

/// What an answer outside 2xx means, in the Hub's order of signs: X-Error-Code, then texts, then
/// the status. `what` is what was asked for ("the list of files").
Error http_failure(const Response& response, std::string_view what);

/// The server's own words in an error body, quoted; empty for none and for HTML.
std::string server_words(const Response& response);

}  // namespace ferrule::hub
