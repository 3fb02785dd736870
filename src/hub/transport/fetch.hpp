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

/// Makes `partial` hold all bytes of the source, going on from those that it has. Redirects are
/// followed from `url` anew on each try, so that an address that ran out is replaced; what they
/// lead to never sees the token. What came is not judged here but for its length. Returns the
/// address that answered last; empty where nothing had to be asked.
Result<std::string> fetch(Http& http, const Source& source, io::PartialFile& partial, Meter& meter);

/// Follows a GET by hand over up to twenty redirects: the Hub's own with the token, others without.
Result<Response> get_following(Http& http, Request request);

}  // namespace ferrule::hub
