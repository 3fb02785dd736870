// SPDX-License-Identifier: Apache-2.0
// Follows the parser of Python 3.11 (Lib/re/_parser.py) production by production, so that what it
// refuses is refused; the text for PCRE2 is written on the way.
#include "peft/python_regex.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/quote.hpp"
#include "base/try.hpp"
#include "base/utf8.hpp"

namespace ferrule::peft {
namespace {

constexpr std::uint64_t kUnbounded = std::uint64_t{1} << 32;
/// Python's own parser gives up at about this depth of its recursion, PCRE2 at 250.
constexpr int kDeepestNesting = 100;

constexpr std::string_view kWordMembers = "\\p{L}\\p{N}_";
constexpr std::string_view kSpaceMembers =
    "\\x{09}-\\x{0d}\\x{1c}-\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}"
    "\\x{202f}\\x{205f}\\x{3000}";

constexpr std::string_view kNoSpaceMembers =
    "\\x{00}-\\x{08}\\x{0e}-\\x{1b}\\x{21}-\\x{84}\\x{86}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{"
    "1fff}"
    "\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{"
    "10ffff}";

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_octal(char c) { return c >= '0' && c <= '7'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::uint64_t saturate(std::uint64_t value) { return std::min(value, kUnbounded); }

unsigned octal_value(std::string_view digits) {
  unsigned value = 0;
  for (const char c : digits) value = value * 8 + static_cast<unsigned>(c - '0');
  return value;
}

/// What a piece of the pattern may match: the fewest and the most characters.
struct Width {
  std::uint64_t least = 0;
  std::uint64_t most = 0;
};

Width operator+(Width a, Width b) {
  return {saturate(a.least + b.least), saturate(a.most + b.most)};
}

std::uint64_t times(std::uint64_t a, std::uint64_t b) {
  if (a == 0 || b == 0) return 0;
  return a > kUnbounded / b ? kUnbounded : saturate(a * b);
}

/// Flags in force that PCRE2 does not get as flags.
struct Flags {
  bool verbose = false;
  bool ascii = false;
};

/// What stands before a quantifier.
enum class Item { kNothing, kPosition, kRepeat, kOther };

class Translator {
 public:
  explicit Translator(std::string_view text) : text_(text) {}

  Result<std::string> run() {
    if (!base::is_utf8(text_)) return invalid("it is not UTF-8");
    FERRULE_CHECK(global_flags());
    FERRULE_TRY(const Width ignored, alternatives(Flags{verbose_, ascii_}, 0));
    static_cast<void>(ignored);
    if (at_ < text_.size()) return invalid("unbalanced parenthesis");
    for (const std::uint64_t group : conditions_) {
      if (group >= groups_.size()) return invalid("invalid group reference");
    }
    return std::move(out_);
  }

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
  Error make_error(ErrorCode code, std::string_view rule, std::string_view what) const {
    return {.code = code,
            .rule = std::string(rule),
            .message = "regular expression " + base::quote(text_) +
                       (code == ErrorCode::kCorrupt ? " is not valid in Python: "
                                                    : " cannot be run by Ferrule: ") +
                       std::string(what) + " at position " + std::to_string(at_)};
  }

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
  char32_t take_point() {
    const auto point = base::decode_utf8(text_.substr(at_)).value_or(base::CodePoint{0xfffd, 1});
    at_ += point.bytes;
    return point.value;
  }

  void literal(char32_t c) {
    char buffer[16];
    const bool word = c < 0x80 && (is_letter(static_cast<char>(c)) ||
                                   is_digit(static_cast<char>(c)) || c == U'_');
    if (word || c >= 0xa0) {
      base::append_utf8(out_, c);
    } else {
      std::snprintf(buffer, sizeof buffer, "\\x{%02x}", static_cast<unsigned>(c));
      out_ += buffer;
    }
  }

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

/// Flags for the whole expression, which stand at its very start only.
Result<void> Translator::global_flags() {
  while (text_.substr(at_, 2) == "(?") {
    const std::size_t end = text_.find_first_not_of("aiLmsux", at_ + 2);
    if (end == at_ + 2 || end == std::string_view::npos || text_[end] != ')') break;
    const auto letters = text_.substr(at_ + 2, end - at_ - 2);
    if (letters.find('L') != std::string_view::npos) return invalid("flag L is for bytes");
    bool unicode = false;
    for (const char c : letters) {
      if (c == 'x') verbose_ = true;
      if (c == 'a') ascii_ = true;
      if (c == 'u') unicode = true;
      if (c == 'i' || c == 'm' || c == 's') out_ += std::string("(?") + c + ")";
    }
    if (unicode && ascii_) return invalid("flags a and u are incompatible");
    at_ = end + 1;
  }
  return {};
}

Result<Width> Translator::alternatives(Flags flags, int depth) {
  if (depth > kDeepestNesting) return unsupported("groups nested too deeply");
  std::optional<Width> total;
  while (true) {
    FERRULE_TRY(const Width width, sequence(flags, depth));
    if (!total) total = width;
    total = Width{std::min(total->least, width.least), std::max(total->most, width.most)};
    if (!take('|')) return *total;
    out_ += '|';
  }
}

void Translator::skip_verbose() {
  while (!done()) {
    if (std::string_view(" \t\n\r\v\f").find(peek()) != std::string_view::npos) {
      ++at_;
    } else if (next_is('#')) {
      const auto end = text_.find('\n', at_);
      at_ = end == std::string_view::npos ? text_.size() : end + 1;
    } else {
      return;
    }
  }
}

Result<Width> Translator::sequence(Flags flags, int depth) {
  Width total;
  Width last;
  Item item = Item::kNothing;
  while (true) {
    if (flags.verbose) skip_verbose();
    if (done() || next_is('|') || next_is(')')) return total + last;
    FERRULE_TRY(const bool repeated, quantifier(item, last));
    if (repeated) {
      item = Item::kRepeat;
      continue;
    }
    if (take("(?#")) {
      const auto end = text_.find(')', at_);
      if (end == std::string_view::npos) return invalid("missing ), unterminated comment");
      at_ = end + 1;
      continue;
    }
    total = total + last;
    last = {1, 1};
    item = Item::kOther;
    if (take('(')) {
      FERRULE_TRY(last, group(flags, depth));
    } else if (take('[')) {
      FERRULE_CHECK(character_class(flags));
    } else if (take('\\')) {
      FERRULE_TRY(last, escape(flags, item));
    } else if (take('.')) {
      out_ += '.';
    } else if (next_is('^') || next_is('$')) {
      out_ += text_[at_++];
      item = Item::kPosition;
      last = {};
    } else {
      literal(take_point());
    }
  }
}

/// Reads a quantifier, if one stands here, and applies it to the item before it.
Result<bool> Translator::quantifier(Item item, Width& width) {
  const std::size_t before = at_;
  std::uint64_t least = 0;
  std::uint64_t most = kUnbounded;
  if (take('?')) {
    most = 1;
  } else if (take('+')) {
    least = 1;
  } else if (take('{')) {
    const auto number = [this](std::uint64_t fallback) {
      std::uint64_t value = is_digit(peek()) ? 0 : fallback;
      while (!done() && is_digit(peek())) {
        value = saturate(value * 10 + static_cast<std::uint64_t>(text_[at_++] - '0'));
      }
      return value;
    };
    // "{}" and what is no repeat at all stand for themselves.
    const bool empty = next_is('}');
    least = number(0);
    most = take(',') ? number(kUnbounded) : least;
    if (empty || !take('}')) {
      at_ = before;
      return false;
    }
    if (most < least) return invalid("min repeat greater than max repeat");
  } else if (!take('*')) {
    return false;
  }
  if (item == Item::kNothing || item == Item::kPosition) return invalid("nothing to repeat");
  if (item == Item::kRepeat) return invalid("multiple repeat");
  constexpr std::uint64_t kLargestRepeat = 65535;
  if (least > kLargestRepeat || (most != kUnbounded && most > kLargestRepeat)) {
    return unsupported("more than 65535 repeats");
  }
  out_ +=
      "{" + std::to_string(least) + "," + (most == kUnbounded ? "" : std::to_string(most)) + "}";
  if (take('?')) {
    out_ += '?';
  } else if (take('+')) {
    out_ += '+';
  }
  width = {times(width.least, least), times(width.most, most)};
  return true;
}

Result<Width> Translator::group(Flags flags, int depth) {
  if (!take('?')) return capture({}, flags, depth);
  if (take("P<")) {
    FERRULE_TRY(const std::string name, group_name('>'));
    if (names_.count(name) != 0) return invalid("redefinition of a group name");
    return capture(name, flags, depth);
  }
  if (take("P=")) {
    FERRULE_TRY(const std::string name, group_name(')'));
    const auto found = names_.find(name);
    if (found == names_.end()) return invalid("unknown group name");
    return reference(found->second);
  }
  if (take('=')) return lookaround(flags, depth, false);
  if (take('!')) {
    out_ += "(?!";
    FERRULE_TRY(const Width ignored, alternatives(flags, depth + 1));
    static_cast<void>(ignored);
    if (!take(')')) return invalid("missing ), unterminated subpattern");
    out_ += ')';
    return Width{};
  }
  if (next_is('<')) return lookaround(flags, depth, true);
  if (take('(')) return conditional(flags, depth);
  if (take(':') || next_is('>')) {
    const bool atomic = take('>');
    out_ += atomic ? "(?>" : "(?:";
    FERRULE_TRY(const Width width, alternatives(flags, depth + 1));
    if (!take(')')) return invalid("missing ), unterminated subpattern");
    out_ += ')';
    return width;
  }
  return flagged(flags, depth);
}

Result<Width> Translator::lookaround(Flags flags, int depth, bool behind) {
  std::string open = "(?=";
  const auto outer = lookbehind_groups_;
  if (behind) {
    take('<');
    if (!next_is('=') && !next_is('!')) return invalid("unknown extension ?<");
    open = std::string("(?<") + text_[at_++];
    if (!lookbehind_groups_) lookbehind_groups_ = groups_.size();
  }
  out_ += open;
  FERRULE_TRY(const Width width, alternatives(flags, depth + 1));
  lookbehind_groups_ = outer;
  if (!take(')')) return invalid("missing ), unterminated subpattern");
  if (behind && width.least != width.most)
    return invalid("look-behind requires fixed-width pattern");
  out_ += ')';
  return Width{};
}

Result<Width> Translator::capture(std::string_view name, Flags flags, int depth) {
  const std::size_t number = groups_.size();
  groups_.emplace_back();
  if (!name.empty()) names_.emplace(name, number);
  out_ += '(';
  FERRULE_TRY(const Width width, alternatives(flags, depth + 1));
  if (!take(')')) return invalid("missing ), unterminated subpattern");
  out_ += ')';
  groups_[number] = {false, width};
  return width;
}

Result<std::string> Translator::group_name(char end) {
  const auto stop = text_.find(end, at_);
  if (stop == std::string_view::npos) return invalid("missing end of a group name");
  std::string name(text_.substr(at_, stop - at_));
  const auto part = [](char c) {
    return is_letter(c) || is_digit(c) || c == '_' || static_cast<unsigned char>(c) >= 0x80;
  };
  if (name.empty() || is_digit(name[0]) || !std::all_of(name.begin(), name.end(), part)) {
    return invalid("bad character in group name");
  }
  at_ = stop + 1;
  return name;
}

Result<Width> Translator::reference(std::uint64_t number) {
  if (number == 0 || number >= groups_.size()) return invalid("invalid group reference");
  if (groups_[number].open) return invalid("cannot refer to an open group");
  if (lookbehind_groups_ && number >= *lookbehind_groups_) {
    return invalid("cannot refer to group defined in the same lookbehind subpattern");
  }
  out_ += "\\g{" + std::to_string(number) + "}";
  return groups_[number].width;
}

Result<Width> Translator::conditional(Flags flags, int depth) {
  const auto stop = text_.find(')', at_);
  const auto inside = text_.substr(at_, stop == std::string_view::npos ? 0 : stop - at_);
  std::uint64_t number = 0;
  if (!inside.empty() && std::all_of(inside.begin(), inside.end(), is_digit)) {
    for (const char c : inside)
      number = saturate(number * 10 + static_cast<std::uint64_t>(c - '0'));
    at_ = stop + 1;
    if (number == 0) return invalid("bad group number");
    conditions_.push_back(number);
  } else {
    FERRULE_TRY(const std::string name, group_name(')'));
    const auto found = names_.find(name);
    if (found == names_.end()) return invalid("unknown group name");
    number = found->second;
  }
  if (lookbehind_groups_ &&
      (number >= *lookbehind_groups_ || number >= groups_.size() || groups_[number].open)) {
    return invalid("cannot refer to an open group");
  }
  out_ += "(?(" + std::to_string(number) + ")";
  FERRULE_TRY(Width width, sequence(flags, depth + 1));
  if (take('|')) {
    out_ += '|';
    FERRULE_TRY(const Width other, sequence(flags, depth + 1));
    width = {std::min(width.least, other.least), std::max(width.most, other.most)};
    if (next_is('|')) return invalid("conditional backref with more than two branches");
  } else {
    width.least = 0;
  }
  if (!take(')')) return invalid("missing ), unterminated subpattern");
  out_ += ')';
  return width;
}

/// (?flags-flags:...). Flags for the rest of the expression are refused: they stand at its start.
Result<Width> Translator::flagged(Flags flags, int depth) {
  std::string added;
  std::string removed;
  bool removing = false;
  while (!done() && (is_letter(peek()) || next_is('-'))) {
    const char c = text_[at_++];
    if (c == '-') {
      if (removing) return invalid("missing flag");
      removing = true;
      continue;
    }
    if (std::string_view("aiLmsux").find(c) == std::string_view::npos) {
      return invalid("unknown extension or flag");
    }
    if (c == 'L') return invalid("flag L is for bytes");
    (removing ? removed : added) += c;
  }
  const auto has = [](const std::string& letters, char c) {
    return letters.find(c) != std::string::npos;
  };
  if (next_is(')') && !removing && !added.empty()) {
    return invalid("global flags not at the start of the expression");
  }
  if ((added.empty() && !removing) || (removing && removed.empty())) {
    return invalid("unknown extension or missing flag");
  }
  if (has(removed, 'a') || has(removed, 'u')) return invalid("flags a and u cannot be turned off");
  if (has(added, 'a') && has(added, 'u')) return invalid("flags a and u are incompatible");
  for (const char c : added) {
    if (has(removed, c)) return invalid("flag turned on and off");
  }
  if (!take(':')) return invalid("missing :");
  flags.verbose = (flags.verbose || has(added, 'x')) && !has(removed, 'x');
  flags.ascii = (flags.ascii || has(added, 'a')) && !has(added, 'u');
  out_ += "(?";
  for (const char c : added) {
    if (c == 'i' || c == 'm' || c == 's') out_ += c;
  }
  std::string off;
  for (const char c : removed) {
    if (c != 'x') off += c;
  }
  if (!off.empty()) out_ += "-" + off;
  out_ += ':';
  FERRULE_TRY(const Width width, alternatives(flags, depth + 1));
  if (!take(')')) return invalid("missing ), unterminated subpattern");
  out_ += ')';
  return width;
}

/// \d \D \s \S \w \W; false for any other letter.
bool Translator::category(char letter, bool in_class, Flags flags) {
  struct Row {
    char letter;
    std::string_view members;
    std::string_view rest;
    std::string_view ascii;
    std::string_view ascii_rest;
  };
  static constexpr Row kRows[] = {
      {'d', "\\p{Nd}", "\\P{Nd}", "0-9", "\\x{00}-\\x{2f}\\x{3a}-\\x{10ffff}"},
      {'s', kSpaceMembers, kNoSpaceMembers, "\\x{09}-\\x{0d}\\x{20}",
       "\\x{00}-\\x{08}\\x{0e}-\\x{1f}\\x{21}-\\x{10ffff}"},
      {'w', kWordMembers, "\\W", "0-9A-Za-z_",
       "\\x{00}-\\x{2f}\\x{3a}-\\x{40}\\x{5b}-\\x{5e}\\x{60}\\x{7b}-\\x{10ffff}"},
  };
  const bool negated = letter >= 'A' && letter <= 'Z';
  const char lower = static_cast<char>(negated ? letter - 'A' + 'a' : letter);
  for (const Row& row : kRows) {
    if (row.letter != lower) continue;
    if (!in_class) {
      out_ += negated ? "[^" : "[";
      out_ += flags.ascii ? row.ascii : row.members;
      out_ += ']';
    } else if (!negated) {
      out_ += flags.ascii ? row.ascii : row.members;
    } else {
      out_ += flags.ascii ? row.ascii_rest : row.rest;
    }
    return true;
  }
  return false;
}

Result<char32_t> Translator::hex_escape(char kind) {
  const std::size_t digits = kind == 'x' ? 2 : kind == 'u' ? 4 : 8;
  char32_t value = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    const char c = peek();
    const auto at = std::string_view("0123456789abcdef")
                        .find(static_cast<char>(c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c));
    if (done() || at == std::string_view::npos) return invalid("incomplete escape");
    value = value * 16 + static_cast<char32_t>(at);
    ++at_;
  }
  if (value > 0x10ffff) return invalid("bad escape");
  if (value >= 0xd800 && value <= 0xdfff) return unsupported("a lone surrogate");
  return value;
}

std::optional<char32_t> control_escape(char letter) {
  constexpr std::string_view kLetters = "afnrtv";
  constexpr std::string_view kValues = "\a\f\n\r\t\v";
  const auto at = kLetters.find(letter);
  if (at == std::string_view::npos) return std::nullopt;
  return static_cast<char32_t>(kValues[at]);
}

Result<Width> Translator::number_escape(char first) {
  std::string digits(1, first);
  if (first == '0') {
    while (digits.size() < 3 && !done() && is_octal(peek())) digits += text_[at_++];
    literal(static_cast<char32_t>(octal_value(digits)));
    return Width{1, 1};
  }
  if (!done() && is_digit(peek())) {
    digits += text_[at_++];
    if (is_octal(digits[0]) && is_octal(digits[1]) && !done() && is_octal(peek())) {
      digits += text_[at_++];
      const unsigned value = octal_value(digits);
      if (value > 0377) return invalid("octal escape value outside of range 0-0o377");
      literal(static_cast<char32_t>(value));
      return Width{1, 1};
    }
  }
  std::uint64_t number = 0;
  for (const char c : digits) number = number * 10 + static_cast<std::uint64_t>(c - '0');
  return reference(number);
}

Result<Width> Translator::escape(Flags flags, Item& item) {
  if (done()) return invalid("bad escape (end of pattern)");
  const char c = text_[at_];
  if (c == 'A' || c == 'Z' || c == 'b' || c == 'B') {
    ++at_;
    item = Item::kPosition;
    const std::string word =
        "[" + std::string(flags.ascii ? std::string_view("0-9A-Za-z_") : kWordMembers) + "]";
    if (c == 'A') out_ += "\\A";
    if (c == 'Z') out_ += "\\z";
    if (c == 'b') out_ += "(?:(?<=" + word + ")(?!" + word + ")|(?<!" + word + ")(?=" + word + "))";
    // Python 3.11's \B does not match the empty string.
    if (c == 'B') {
      out_ += "(?:(?<=" + word + ")(?=" + word + ")|(?<!" + word + ")(?!" + word + ")(?!\\A\\z))";
    }
    return Width{};
  }
  if (is_digit(c)) {
    ++at_;
    return number_escape(c);
  }
  if (c == 'x' || c == 'u' || c == 'U') {
    ++at_;
    FERRULE_TRY(const char32_t value, hex_escape(c));
    literal(value);
    return Width{1, 1};
  }
  if (c == 'N') return unsupported("characters by name (\\N{...})");
  if (const auto control = control_escape(c)) {
    ++at_;
    literal(*control);
    return Width{1, 1};
  }
  if (category(c, false, flags)) {
    ++at_;
    return Width{1, 1};
  }
  if (is_letter(c)) return invalid("bad escape");
  literal(take_point());
  return Width{1, 1};
}

/// The character of an escape in a class, or nullopt where it was a category.
Result<std::optional<char32_t>> Translator::class_escape(Flags flags) {
  if (done()) return invalid("unterminated character set");
  const char c = text_[at_];
  if (c == 'x' || c == 'u' || c == 'U') {
    ++at_;
    FERRULE_TRY(const char32_t value, hex_escape(c));
    return std::optional(value);
  }
  if (is_octal(c)) {
    std::string digits;
    while (digits.size() < 3 && !done() && is_octal(peek())) digits += text_[at_++];
    const unsigned value = octal_value(digits);
    if (value > 0377) return invalid("octal escape value outside of range 0-0o377");
    return std::optional(static_cast<char32_t>(value));
  }
  if (c == 'N') return unsupported("characters by name (\\N{...})");
  if (c == 'b' || control_escape(c)) {
    ++at_;
    return std::optional(c == 'b' ? U'\b' : *control_escape(c));
  }
  if (category(c, true, flags)) {
    ++at_;
    return std::optional<char32_t>();
  }
  if (is_letter(c) || is_digit(c)) return invalid("bad escape");
  return std::optional(take_point());
}

Result<void> Translator::character_class(Flags flags) {
  out_ += take('^') ? "[^" : "[";
  const auto member = [&]() -> Result<std::optional<char32_t>> {
    if (take('\\')) return class_escape(flags);
    return std::optional(take_point());
  };
  for (bool first = true;; first = false) {
    if (done()) return invalid("unterminated character set");
    if (!first && take(']')) break;
    FERRULE_TRY(const auto low, member());
    if (low) literal(*low);
    if (!take('-')) continue;
    if (done()) return invalid("unterminated character set");
    if (take(']')) {
      literal(U'-');
      break;
    }
    out_ += '-';
    FERRULE_TRY(const auto high, member());
    if (!low || !high || *high < *low) return invalid("bad character range");
    literal(*high);
  }
  out_ += ']';
  return {};
}

}  // namespace

Result<std::string> translate_python_regex(std::string_view expression) {
  return Translator(expression).run();
}

}  // namespace ferrule::peft
