// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ferrule/json.hpp"
#include "ferrule/result.hpp"

namespace ferrule::hub {

struct Response;

/// Parses JSON from a server. Depth and number of values are limited before any value is made, so
/// that 8 MB of text cannot take 100 MB of memory.
Result<Json> parse_json(std::string_view text);

/// The JSON object or array in a 2xx. Fails with HB-12, naming `what`.
Result<Json> json_answer(const Response& response, std::string_view what);

/// Members by type: empty, nullopt or false if they are missing or have another type.
std::string text_member(const Json& object, std::string_view key);
std::optional<std::uint64_t> size_member(const Json& object, std::string_view key);
bool true_member(const Json& object, std::string_view key);

/// A number in decimal digits; nullopt if there is anything else.
std::optional<std::uint64_t> whole_number(std::string_view text);

}  // namespace ferrule::hub
