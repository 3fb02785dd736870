// SPDX-License-Identifier: Apache-2.0
#include "hub/transport/url.hpp"

#include <cctype>
#include <memory>

#include "hub/transport/curl.hpp"

namespace ferrule::hub {
namespace {

struct Closer {
  void operator()(CURLU* url) const { curl()->url_cleanup(url); }
};
using Handle = std::unique_ptr<CURLU, Closer>;

std::string part(const Handle& url, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  if (curl()->url_get(url.get(), which, &text, flags) != CURLUE_OK || text == nullptr) return {};
  std::string copy(text);
  curl()->free(text);
  return copy;
}

bool is_http(const Handle& url) {
  const auto scheme = part(url, CURLUPART_SCHEME);
  return scheme == "http" || scheme == "https";
}

}  // namespace

std::string percent_encode(std::string_view text, bool keep_slash) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 128 && std::isalnum(byte) != 0) || c == '-' || c == '.' || c == '_' || c == '~' ||
        (c == '/' && keep_slash)) {
      out += c;
    } else {
      out += '%';
      out += kDigits[byte >> 4U];
      out += kDigits[byte & 15U];
    }
  }
  return out;
}

std::optional<std::string> origin_of(const std::string& url) {
  const Handle handle(curl() != nullptr ? curl()->url() : nullptr);
  if (!handle || curl()->url_set(handle.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK ||
      !is_http(handle) || !part(handle, CURLUPART_USER).empty()) {
    return std::nullopt;
  }
  auto host = part(handle, CURLUPART_HOST);
  for (auto& c : host) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return part(handle, CURLUPART_SCHEME) + "://" + host + ":" +
         part(handle, CURLUPART_PORT, CURLU_DEFAULT_PORT);
}

std::optional<std::string> resolve_url(const std::string& base, const std::string& location) {
  const Handle handle(curl() != nullptr ? curl()->url() : nullptr);
  if (!handle || curl()->url_set(handle.get(), CURLUPART_URL, base.c_str(), 0) != CURLUE_OK ||
      curl()->url_set(handle.get(), CURLUPART_URL, location.c_str(), CURLU_URLENCODE) !=
          CURLUE_OK ||
      !is_http(handle)) {
    return std::nullopt;
  }
  auto url = part(handle, CURLUPART_URL);
  if (url.empty()) return std::nullopt;
  return url;
}

std::string without_query(std::string_view url) {
  return std::string(url.substr(0, url.find_first_of("?#")));
}

std::string at_endpoint(const std::string& url, const std::string& endpoint) {
  for (const std::string_view host :
       {"https://huggingface.co", "https://hub-ci.huggingface.co", "https://hf.co"}) {
    if (url.rfind(host, 0) != 0 || endpoint == host) continue;
    const auto rest = url.substr(host.size());
    if (rest.empty() || rest[0] == '/' || rest[0] == '?') return endpoint + rest;
  }
  return url;
}

}  // namespace ferrule::hub
