// SPDX-License-Identifier: Apache-2.0
#include "hub/transport/environment.hpp"

#include <cstdlib>

namespace ferrule::hub {

std::string capital_proxy(const std::string& url) {
  if (url.rfind("http://", 0) != 0 || std::getenv("http_proxy") != nullptr ||
      std::getenv("REQUEST_METHOD") != nullptr) {
    return {};
  }
  const char* proxy = std::getenv("HTTP_PROXY");
  return proxy != nullptr ? proxy : "";
}

std::string certificates() {
  for (const auto* name : {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return {};
}

}  // namespace ferrule::hub
