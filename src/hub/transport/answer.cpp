// SPDX-License-Identifier: Apache-2.0
#include "hub/transport/answer.hpp"

#include <charconv>
#include <cstddef>

#include "base/errors.hpp"
#include "ferrule/text.hpp"
#include "hub/transport/failure.hpp"
#include "hub/transport/http_message.hpp"

namespace ferrule::hub {
namespace {

constexpr std::size_t kMaxAnswerDepth = 32;
// A listing of a thousand files has some fifteen thousand.
constexpr std::size_t kMaxValues = 200'000;

/// An upper bound: separators inside strings count too.
std::size_t count_values(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text) count += c == ',' || c == '[' || c == '{' || c == ':' ? 1U : 0U;
  return count;
}

}  // namespace

Result<Json> parse_json(std::string_view text) {
  if (count_values(text) > kMaxValues) {
    return base::over_limit("the document has more than " + std::to_string(kMaxValues) + " values");
  }
  return Json::parse(text, {.depth = kMaxAnswerDepth});
}

Result<Json> json_answer(const Response& response, std::string_view what) {
  auto json = parse_json(response.text);
  if (json && (json->is_object() || json->is_array())) return json;
  std::string message = std::string(what) + ": expected JSON, found ";
  const auto start = response.text.find_first_not_of(" \t\r\n");
  if (start != std::string::npos && response.text[start] == '<') {
    message += "a page of HTML: something between this machine and the Hub answered instead";
  } else if (json) {
    message += "a value of type " + std::string(json->type_name());
  } else {
    message += quote(response.text, 80) + ": " + json.error().message;
  }
  auto error = fail(Failure::kBadAnswer, std::move(message));
  error.http_status = response.status;
  error.request_id = printable(response.request_id(), 100);
  return error;
}

std::string text_member(const Json& object, std::string_view key) {
  const auto* member = object.find(key);
  const auto* text = member != nullptr ? member->if_string() : nullptr;
  return text != nullptr ? *text : std::string();
}

std::optional<std::uint64_t> size_member(const Json& object, std::string_view key) {
  const auto* member = object.find(key);
  const auto* number = member != nullptr ? member->if_int64() : nullptr;
  if (number == nullptr || *number < 0) return std::nullopt;
  return static_cast<std::uint64_t>(*number);
}

bool true_member(const Json& object, std::string_view key) {
  const auto* member = object.find(key);
  const auto* flag = member != nullptr ? member->if_bool() : nullptr;
  return flag != nullptr && *flag;
}

std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace ferrule::hub
