// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ferrule/json.hpp"
#include "ferrule/result.hpp"
#include "hub/files/push_file.hpp"

namespace ferrule::hub {

/// An address that the Hub gave for an object, with headers for the request to it.
struct Action {
  std::string href;
  std::vector<std::pair<std::string, std::string>> headers;
  std::int64_t expires = 0;  ///< In seconds since 1970; 0 if the Hub does not say.
};

/// A multipart upload: the address of each part, and the ETags of parts that the store has.
struct Parts {
  std::uint64_t chunk = 0;
  std::string complete;  ///< The address that ends the upload.
  std::map<std::uint64_t, std::string> addresses = {};
  std::map<std::uint64_t, std::string> etags = {};
  std::int64_t expires = 0;  ///< As in Action.
};

Error upload_refused(const PushFile& file, const std::string& why);

/// The entry of one object in the answer to a batch. Fails with HB-18 if the Hub refuses the object
/// or does not mention it.
Result<Json> object_for(const Json& answer, const PushFile& file);

/// The action "upload" or "verify" of an object; nullopt if there is none.
std::optional<Action> action(const Json& object, std::string_view name,
                             const std::string& endpoint);

/// Where the parts of a multipart upload go; nullopt for a basic one.
std::optional<Parts> read_parts(const Action& upload);

}  // namespace ferrule::hub
