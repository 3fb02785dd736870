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

/// An address that the Hub gave for an object, with what is to be sent along.
struct Action {
  std::string href;
  std::vector<std::pair<std::string, std::string>> headers;
  std::int64_t expires = 0;  ///< In seconds since 1970; 0 where the Hub does not say.
};

/// A multipart upload: where each part goes, and what the store said of those that it has.
struct Parts {
  std::uint64_t chunk = 0;
  std::string complete;  ///< Where the end is told.
  std::map<std::uint64_t, std::string> addresses = {};
  std::map<std::uint64_t, std::string> etags = {};
  std::int64_t expires = 0;  ///< As in Action.
};

Error upload_refused(const PushFile& file, const std::string& why);

/// The Hub's word on one object of a batch. Fails with HB-18 where it refuses it, or says nothing.
Result<Json> object_for(const Json& answer, const PushFile& file);

/// The action "upload" or "verify" of an object; nullopt where there is none.
std::optional<Action> action(const Json& object, std::string_view name,
                             const std::string& endpoint);

/// Where the parts of a multipart upload go; nullopt for a basic one.
std::optional<Parts> read_parts(const Action& upload);

}  // namespace ferrule::hub
