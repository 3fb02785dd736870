// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace ferrule::hub {

/// The proxy in HTTP_PROXY for an http URL, which huggingface_hub's HTTP library uses and libcurl
/// does not: a web server sets that variable for its scripts from a header of the request. Empty in
/// such a script (REQUEST_METHOD), or if http_proxy is set.
std::string capital_proxy(const std::string& url);

/// The file of certificates that the user trusts instead of the system's; empty for none.
std::string certificates();

}  // namespace ferrule::hub
