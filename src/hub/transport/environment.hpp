// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace ferrule::hub {

/// huggingface_hub's HTTP library takes HTTP_PROXY in capitals too, which libcurl leaves to the
/// small letters for fear of what a web server passes to its scripts.
std::string capital_proxy(const std::string& url);

/// The file of certificates that the user trusts instead of the system's; empty for none.
std::string certificates();

}  // namespace ferrule::hub
