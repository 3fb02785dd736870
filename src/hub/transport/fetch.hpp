// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "ferrule/result.hpp"
#include "hub/transport/http.hpp"
#include "hub/transport/meter.hpp"
#include "io/partial_file.hpp"

namespace ferrule::hub {

/// A file to be downloaded.
struct Source {
  std::string url;
  std::string what;  ///< For messages.
  std::uint64_t size = 0;
  bool with_token = false;
  std::string sign_as = {};  ///< As in Request.
  std::string sign_for = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
};

/// Downloads the source into `partial`, continuing after the bytes that it has. Each try follows
/// redirects from `url` again, so that an address that expired is replaced; other origins never get
/// the token. Only the length is checked here, not the content. Returns the address that answered
/// last; empty if no request was needed.
Result<std::string> fetch(Http& http, const Source& source, io::PartialFile& partial, Meter& meter);

/// Follows a GET over up to twenty redirects, with the token on the Hub's own origin only. Never
/// from https to http.
Result<Response> get_following(Http& http, Request request);

}  // namespace ferrule::hub
