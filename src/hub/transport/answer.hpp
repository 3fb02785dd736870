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

/// Parses what a server sent: nesting and the number of values are bounded before a value is made,
/// so that eight megabytes of text never become a hundred in memory.
Result<Json> parse_json(std::string_view text);

/// The JSON object of an answer that came with 2xx. Fails with HB-12, naming `what`.
Result<Json> json_answer(const Response& response, std::string_view what);

/// Members by type; absent or of another type: empty, nullopt.
std::string text_member(const Json& object, std::string_view key);
std::optional<std::uint64_t> size_member(const Json& object, std::string_view key);
bool true_member(const Json& object, std::string_view key);

/// A number in decimal digits and nothing else.
std::optional<std::uint64_t> whole_number(std::string_view text);

}  // namespace ferrule::hub
