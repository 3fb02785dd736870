// SPDX-License-Identifier: Apache-2.0
// The one file that knows nlohmann/json. Its lexer and grammar do the work; what is stricter here,
// or more lenient, is around it:
//   1. a byte order mark and NUL bytes, which the library skips or takes for the end, are refused;
//   2. NaN, Infinity and -Infinity, which it does not know, are replaced beforehand by numbers of
//      the same length, so that offsets stay true, and put back when their number arrives;
//   3. duplicate keys and depth are checked while the value is built.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "base/utf8.hpp"
#include "ferrule/json.hpp"
#include "ferrule/text.hpp"

namespace ferrule {
namespace {

Error syntax_error(std::size_t offset, std::string_view what) {
  return base::corrupt(
      "CF-1", "not valid JSON at byte " + std::to_string(offset) + ": " + std::string(what));
}

/// A non-finite number of the text: where it ends and what it is.
struct NonFinite {
  std::size_t end;
  double value;
};

/// The document without Python's words for numbers that JSON does not have.
struct Prepared {
  std::string rewritten;  ///< Empty if nothing had to be rewritten.
  std::vector<NonFinite> non_finite;
};

bool begins_value(char before) {
  return std::string_view(" \t\n\r,:[").find(before) != std::string_view::npos;
}
bool ends_value(char after) {
  return std::string_view(" \t\n\r,]}").find(after) != std::string_view::npos;
}

/// The end of the string literal that starts at `begin`, or the end of the text.
std::size_t skip_string(std::string_view text, std::size_t begin) {
  for (std::size_t i = begin + 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      return i + 1;
    }
  }
  return text.size();
}

Prepared prepare_non_finite(std::string_view text) {
  struct Word {
    std::string_view spelling;
    std::string_view stand_in;
    double value;
  };
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const Word words[] = {{"NaN", "0.0", std::numeric_limits<double>::quiet_NaN()},
                        {"Infinity", "0.000000", kInfinity},
                        {"-Infinity", "-0.000000", -kInfinity}};
  Prepared prepared;
  std::size_t i = 0;
  while (i < text.size()) {
    if (text[i] == '"') {
      i = skip_string(text, i);
      continue;
    }
    std::size_t advance = 1;
    for (const Word& word : words) {
      const std::size_t end = i + word.spelling.size();
      if (text.substr(i, word.spelling.size()) != word.spelling) continue;
      if (i > 0 && !begins_value(text[i - 1])) continue;
      if (end < text.size() && !ends_value(text[end])) continue;
      if (prepared.rewritten.empty()) prepared.rewritten = text;
      prepared.rewritten.replace(i, word.spelling.size(), word.stand_in);
      prepared.non_finite.push_back({end, word.value});
      advance = word.spelling.size();
      break;
    }
    i += advance;
  }
  return prepared;
}

/// Walks the text for the library and remembers how far it came: its events carry no position.
class Cursor {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  Cursor(const char* at, const char** reached) : at_(at), reached_(reached) {}
  reference operator*() const { return *at_; }
  Cursor& operator++() {
    *reached_ = ++at_;
    return *this;
  }
  Cursor operator++(int) {
    Cursor before = *this;
    ++*this;
    return before;
  }
  friend bool operator==(const Cursor& a, const Cursor& b) { return a.at_ == b.at_; }

 private:
  const char* at_;
  const char** reached_;
};

/// Builds the value from the library's events.
class Builder {
 public:
  Builder(std::string_view text, std::size_t depth, std::vector<NonFinite> non_finite)
      : begin_(text.data()), reached_(begin_), depth_(depth), non_finite_(std::move(non_finite)) {}

  const char** reached() { return &reached_; }
  const std::optional<Error>& error() const { return error_; }
  Json take() { return std::move(root_); }

  bool null() { return add(Json()); }
  bool boolean(bool value) { return add(Json(value)); }
  bool number_integer(std::int64_t value) { return add(Json(value)); }
  bool number_unsigned(std::uint64_t value) { return add(Json(value)); }
  bool number_float(double value, const std::string& digits) {
    if (next_ < non_finite_.size() && offset() >= non_finite_[next_].end) {
      return add(Json(non_finite_[next_++].value));
    }
    if (digits.find_first_of(".eE") == std::string::npos) return add(Json::big_integer(digits));
    return add(Json(value));
  }
  bool string(std::string& value) { return add(Json(std::move(value))); }
  bool binary(nlohmann::json::binary_t&) { return false; }
  bool start_object(std::size_t) { return open(Json(Json::Object())); }
  bool start_array(std::size_t) { return open(Json(Json::Array())); }
  bool end_array() { return close(); }
  bool end_object() { return check_unique(*open_.back()->if_object()) && close(); }
  bool key(std::string& name) {
    open_.back()->if_object()->emplace_back(std::move(name), Json());
    return true;
  }
  bool parse_error(std::size_t position, const std::string& last_token,
                   const nlohmann::detail::exception& failure) {
    std::string what = failure.what();
    if (const auto colon = what.find(": "); colon != std::string::npos) what.erase(0, colon + 2);
    const std::string read = "; last read: '" + last_token + "'";
    if (const auto at = what.find(read); at != std::string::npos) what.erase(at, read.size());
    error_ = syntax_error(position == 0 ? 0 : position - 1, printable(what, 200));
    return false;
  }

 private:
  std::size_t offset() const { return static_cast<std::size_t>(reached_ - begin_); }

  /// Puts a value where the document is and returns its place.
  Json* place(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    if (auto* array = open_.back()->if_array()) {
      array->push_back(std::move(value));
      return &array->back();
    }
    auto& slot = open_.back()->if_object()->back().second;
    slot = std::move(value);
    return &slot;
  }
  bool add(Json value) {
    place(std::move(value));
    return true;
  }
  bool open(Json value) {
    if (open_.size() >= depth_) {
      error_ = base::over_limit("CF-3", "JSON nested deeper than " + std::to_string(depth_) +
                                            " levels at byte " + std::to_string(offset()));
      return false;
    }
    // The container may not move while it is open: only its last member or element grows.
    open_.push_back(place(std::move(value)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }
  /// Sorting keeps this linear but for a logarithm, whatever the keys: no hash to collide in.
  bool check_unique(const Json::Object& members) {
    std::vector<std::string_view> names;
    names.reserve(members.size());
    for (const auto& member : members) names.push_back(member.first);
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice == names.end()) return true;
    error_ = base::corrupt("CF-2", "key " + quote(*twice) +
                                       " is twice in the JSON object that ends at byte " +
                                       std::to_string(offset()));
    return false;
  }

  const char* begin_;
  const char* reached_;
  std::size_t depth_;
  std::vector<NonFinite> non_finite_;
  std::size_t next_ = 0;
  Json root_;
  std::vector<Json*> open_;
  std::optional<Error> error_;
};

Result<void> check_text(std::string_view text) {
  if (text.substr(0, 3) == "\xef\xbb\xbf") {
    return syntax_error(0, "it starts with a byte order mark, which JSON does not allow");
  }
  for (std::size_t at = 0; at < text.size();) {
    const auto point = base::decode_utf8(text.substr(at));
    if (!point) return syntax_error(at, "this byte is not UTF-8");
    if (point->value == 0) return syntax_error(at, "a NUL byte");
    at += point->bytes;
  }
  return {};
}

}  // namespace

Result<Json> Json::parse(std::string_view text, const ParseOptions& options) {
  FERRULE_CHECK(check_text(text));
  Prepared prepared;
  if (options.allow_nan) prepared = prepare_non_finite(text);
  if (!prepared.rewritten.empty()) text = prepared.rewritten;
  Builder builder(text, options.depth, std::move(prepared.non_finite));
  bool whole = false;
  try {
    whole =
        nlohmann::json::sax_parse(Cursor(text.data(), builder.reached()),
                                  Cursor(text.data() + text.size(), builder.reached()), &builder);
  } catch (const std::exception& failure) {
    return syntax_error(0, printable(failure.what(), 200));
  }
  if (builder.error()) return *builder.error();
  if (!whole) return syntax_error(text.size(), "the document does not end");
  return builder.take();
}

Result<Json> Json::parse(std::string_view text) { return parse(text, ParseOptions{}); }

}  // namespace ferrule
