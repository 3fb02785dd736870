// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "ferrule/result.hpp"

namespace ferrule::hub {

/// `text` with every character that is not unreserved as %XX; a '/' stays if `keep_slash` is true.
std::string percent_encode(std::string_view text, bool keep_slash);

/// Scheme, host and port of an http or https URL ("https://hub.example:443"): two URLs of the same
/// origin are the same server. nullopt for anything else, and for URLs that name a user.
std::optional<std::string> origin_of(const std::string& url);

/// `location`, absolute or relative to `base`, as an absolute URL; nullopt unless it is http or
/// https.
std::optional<std::string> resolve_url(const std::string& base, const std::string& location);

/// A URL without its query and fragment, for messages: signatures stay secret.
std::string without_query(std::string_view url);

/// `url` at `endpoint` if it is on the Hub's public host, which a mirror may still name; other URLs
/// stay as they are.
std::string at_endpoint(const std::string& url, const std::string& endpoint);

}  // namespace ferrule::hub
