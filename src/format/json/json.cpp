// SPDX-License-Identifier: Apache-2.0
#include "ferrule/json.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <system_error>
#include <utility>

namespace ferrule {
namespace {

/// The place of the first member of that name.
template <typename Members>
auto locate(Members& members, std::string_view key) {
  return std::find_if(members.begin(), members.end(),
                      [key](const auto& member) { return member.first == key; });
}

}  // namespace

Json::Json() noexcept = default;
Json::Json(const Json& other) = default;
Json::Json(Json&& other) noexcept = default;
Json& Json::operator=(const Json& other) = default;
Json& Json::operator=(Json&& other) noexcept = default;
Json::~Json() = default;

Json::Json(std::uint64_t value) {
  if (value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    value_ = static_cast<std::int64_t>(value);
  } else {
    value_ = BigInteger{std::to_string(value)};
  }
}

Json Json::big_integer(std::string digits) {
  std::int64_t small = 0;
  const char* const end = digits.data() + digits.size();
  const auto [stop, failure] = std::from_chars(digits.data(), end, small);
  if (failure == std::errc() && stop == end) return Json(small);
  Json result;
  result.value_ = BigInteger{std::move(digits)};
  return result;
}

std::string_view Json::type_name() const noexcept {
  switch (value_.index()) {
    case 0:
      return "null";
    case 1:
      return "bool";
    case 3:
      return "float";
    case 4:
      return "string";
    case 5:
      return "array";
    case 6:
      return "object";
    default:
      return "integer";
  }
}

const std::string* Json::if_big_integer() const& noexcept {
  const auto* big = std::get_if<BigInteger>(&value_);
  return big == nullptr ? nullptr : &big->digits;
}

std::optional<double> Json::number() const noexcept {
  if (const auto* integer = if_int64()) return static_cast<double>(*integer);
  if (const auto* real = if_float()) return *real;
  const auto* digits = if_big_integer();
  if (digits == nullptr) return std::nullopt;
  double value = 0;
  const auto read = std::from_chars(digits->data(), digits->data() + digits->size(), value);
  if (read.ec == std::errc::result_out_of_range) {
    const double huge = std::numeric_limits<double>::infinity();
    return digits->front() == '-' ? -huge : huge;
  }
  return value;
}

const Json* Json::find(std::string_view key) const& noexcept {
  const auto* members = if_object();
  if (members == nullptr) return nullptr;
  const auto found = locate(*members, key);
  return found == members->end() ? nullptr : &found->second;
}

Json* Json::find(std::string_view key) & noexcept {
  return const_cast<Json*>(std::as_const(*this).find(key));
}

void Json::set(std::string_view key, Json value) {
  if (!is_object()) value_ = Object();
  auto& members = *if_object();
  const auto found = locate(members, key);
  if (found != members.end()) {
    found->second = std::move(value);
  } else {
    members.emplace_back(std::string(key), std::move(value));
  }
}

bool Json::erase(std::string_view key) {
  auto* members = if_object();
  if (members == nullptr) return false;
  const auto found = locate(*members, key);
  if (found == members->end()) return false;
  members->erase(found);
  return true;
}

bool operator==(const Json& a, const Json& b) noexcept { return a.value_ == b.value_; }

}  // namespace ferrule
