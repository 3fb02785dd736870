// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "ferrule/result.hpp"

namespace ferrule::hub {

/// `text` with everything but unreserved characters as %XX; a '/' stays where `keep_slash` says so.
std::string percent_encode(std::string_view text, bool keep_slash);

/// Scheme, host and port of an http or https URL ("https://hub.example:443"): two URLs of the same
/// origin are the same server. nullopt for anything else, and for URLs that name a user.
std::optional<std::string> origin_of(const std::string& url);

/// Where `location`, absolute or relative, leads from `base`; nullopt where that is no http URL.
std::optional<std::string> resolve_url(const std::string& base, const std::string& location);

/// A URL without its query, for messages: signatures stay secret.
std::string without_query(std::string_view url);

/// Addresses that the Hub names by its public host, moved to `endpoint` where that is another.
std::string at_endpoint(const std::string& url, const std::string& endpoint);

}  // namespace ferrule::hub
