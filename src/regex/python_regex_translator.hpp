// SPDX-License-Identifier: Apache-2.0
// Follows the parser of Python 3.11 (Lib/re/_parser.py) production by production, so that what it
// refuses is refused; the text for PCRE2 is written on the way.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ascii.hpp"
#include "ferrule/result.hpp"

namespace ferrule::regex {

constexpr std::uint64_t kUnbounded = std::uint64_t{1} << 32;
/// Python's own parser gives up at about this depth of its recursion, PCRE2 at 250.
constexpr int kMaxNesting = 100;

using base::is_digit;
inline bool is_octal(char c) { return c >= '0' && c <= '7'; }
inline bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

inline std::uint64_t saturate(std::uint64_t value) { return std::min(value, kUnbounded); }

/// What a piece of the pattern may match: the fewest and the most characters.
struct Width {
  std::uint64_t least = 0;
  std::uint64_t most = 0;
};

inline Width operator+(Width a, Width b) {
  return {saturate(a.least + b.least), saturate(a.most + b.most)};
}

inline std::uint64_t times(std::uint64_t a, std::uint64_t b) {
  if (a == 0 || b == 0) return 0;
  return a > kUnbounded / b ? kUnbounded : saturate(a * b);
}

/// Flags in force that PCRE2 does not get as flags.
struct Flags {
  bool verbose = false;
  bool ascii = false;
};

/// The item before a quantifier.
enum class Item { kNothing, kPosition, kRepeat, kOther };

/// Writes the text for PCRE2 while it reads Python's; one production a function.
class Translator {
 public:
  explicit Translator(std::string_view text) : text_(text) {}

  Result<std::string> run();

 private:
  struct Group {
    bool open = true;
    Width width;
  };

  Error invalid(std::string_view what) const {
    return make_error(ErrorCode::kCorrupt, "CF-20", what);
  }
  Error unsupported(std::string_view what) const {
    return make_error(ErrorCode::kUnsupported, "CF-21", what);
  }
  Error make_error(ErrorCode code, std::string_view rule, std::string_view what) const;

  bool done() const { return at_ >= text_.size(); }
  char peek() const { return done() ? '\0' : text_[at_]; }
  bool next_is(char c) const { return !done() && text_[at_] == c; }
  bool take(char c) {
    if (!next_is(c)) return false;
    ++at_;
    return true;
  }
  bool take(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }
  char32_t take_point();

  void literal(char32_t c);

  Result<void> global_flags();
  Result<Width> alternatives(Flags flags, int depth);
  Result<Width> sequence(Flags flags, int depth);
  Result<bool> quantifier(Item item, Width& width);
  Result<Width> group(Flags flags, int depth);
  Result<Width> lookaround(Flags flags, int depth, bool behind);
  Result<Width> conditional(Flags flags, int depth);
  Result<Width> capture(std::string_view name, Flags flags, int depth);
  Result<Width> flagged(Flags flags, int depth);
  Result<std::string> group_name(char end);
  Result<Width> reference(std::uint64_t group);
  Result<Width> escape(Flags flags, Item& item);
  Result<Width> number_escape(char first);
  Result<char32_t> hex_escape(char kind);
  Result<void> character_class(Flags flags);
  Result<std::optional<char32_t>> class_escape(Flags flags);
  bool category(char letter, bool in_class, Flags flags);
  void skip_verbose();

  std::string_view text_;
  std::size_t at_ = 0;
  std::string out_;
  bool verbose_ = false;
  bool ascii_ = false;
  std::vector<Group> groups_ = {Group{}};
  std::map<std::string, std::uint64_t, std::less<>> names_;
  std::vector<std::uint64_t> conditions_;
  /// Inside a look-behind: the number of groups when it began.
  std::optional<std::uint64_t> lookbehind_groups_;
};

}  // namespace ferrule::regex
