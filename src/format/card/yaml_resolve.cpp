// SPDX-License-Identifier: Apache-2.0
// PyYAML's Resolver: which plain scalars are something else than strings.
#include <algorithm>
#include <array>

#include "format/card/yaml_scalar.hpp"

namespace ferrule::format {
namespace {

/// A plain scalar under match. Every method eats what it names.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : rest_(text) {}

  bool at_end() const { return rest_.empty(); }

  bool one_of(std::string_view set) {
    if (rest_.empty() || set.find(rest_[0]) == std::string_view::npos) return false;
    rest_.remove_prefix(1);
    return true;
  }

  std::size_t run_of(std::string_view set) {
    const std::size_t length = std::min(rest_.find_first_not_of(set), rest_.size());
    rest_.remove_prefix(length);
    return length;
  }

  bool digits(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      if (!one_of(kDigits)) return false;
    }
    return true;
  }

  /// [0-9][0-9]?
  bool one_or_two_digits() {
    if (!one_of(kDigits)) return false;
    one_of(kDigits);
    return true;
  }

  /// (?::[0-5]?[0-9])+
  bool base60() {
    bool any = false;
    while (!rest_.empty() && rest_[0] == ':') {
      rest_.remove_prefix(1);
      if (one_of("012345")) {
        one_of(kDigits);
      } else if (!one_of("6789")) {
        return false;
      }
      any = true;
    }
    return any;
  }

  /// (?:[eE][-+][0-9]+)?$
  bool exponent_and_end() {
    if (at_end()) return true;
    return one_of("eE") && one_of("-+") && run_of(kDigits) > 0 && at_end();
  }

  static constexpr std::string_view kDigits = "0123456789";

 private:
  std::string_view rest_;
};

bool is_any_of(std::string_view text, std::span<const std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

bool is_float(std::string_view text) {
  constexpr std::array<std::string_view, 9> kSpecial = {".inf",  ".Inf",  ".INF",  "+.inf", "+.Inf",
                                                        "+.INF", "-.inf", "-.Inf", "-.INF"};
  constexpr std::array<std::string_view, 3> kNan = {".nan", ".NaN", ".NAN"};
  if (is_any_of(text, kSpecial) || is_any_of(text, kNan)) return true;
  Cursor leading_dot(text);
  if (leading_dot.one_of(".")) {
    if (!leading_dot.one_of(Cursor::kDigits)) return false;
    leading_dot.run_of("0123456789_");
    return leading_dot.exponent_and_end();
  }
  Cursor number(text);
  number.one_of("-+");
  if (!number.one_of(Cursor::kDigits)) return false;
  number.run_of("0123456789_");
  Cursor sexagesimal = number;
  if (number.one_of(".")) {
    number.run_of("0123456789_");
    return number.exponent_and_end();
  }
  if (!sexagesimal.base60() || !sexagesimal.one_of(".")) return false;
  sexagesimal.run_of("0123456789_");
  return sexagesimal.at_end();
}

bool is_integer(std::string_view text) {
  Cursor number(text);
  number.one_of("-+");
  if (number.one_of("0")) {
    if (number.at_end()) return true;
    if (number.one_of("b")) return number.run_of("01_") > 0 && number.at_end();
    if (number.one_of("x")) return number.run_of("0123456789abcdefABCDEF_") > 0 && number.at_end();
    return number.run_of("01234567_") > 0 && number.at_end();
  }
  if (!number.one_of("123456789")) return false;
  number.run_of("0123456789_");
  if (number.at_end()) return true;
  return number.base60() && number.at_end();
}

bool is_timestamp(std::string_view text) {
  Cursor day(text);
  if (!day.digits(4) || !day.one_of("-")) return false;
  Cursor date = day;
  if (date.digits(2) && date.one_of("-") && date.digits(2) && date.at_end()) return true;
  if (!day.one_or_two_digits() || !day.one_of("-") || !day.one_or_two_digits()) return false;
  if (!day.one_of("Tt") && day.run_of(" \t") == 0) return false;
  if (!day.one_or_two_digits() || !day.one_of(":") || !day.digits(2) || !day.one_of(":") ||
      !day.digits(2)) {
    return false;
  }
  if (day.one_of(".")) day.run_of(Cursor::kDigits);
  day.run_of(" \t");
  if (day.at_end()) return true;
  if (day.one_of("Z")) return day.at_end();
  if (!day.one_of("-+") || !day.one_or_two_digits()) return false;
  if (day.at_end()) return true;
  return day.one_of(":") && day.digits(2) && day.at_end();
}

}  // namespace

bool is_yaml_string(std::string_view plain) noexcept {
  constexpr std::array<std::string_view, 29> kWords = {
      "",    "~",    "null", "Null", "NULL",  "yes",   "Yes",   "YES", "no", "No",
      "NO",  "true", "True", "TRUE", "false", "False", "FALSE", "on",  "On", "ON",
      "off", "Off",  "OFF",  "<<",   "=",     "!",     "&",     "*",   "\n"};
  return !is_any_of(plain, kWords) && !is_float(plain) && !is_integer(plain) &&
         !is_timestamp(plain);
}

}  // namespace ferrule::format
