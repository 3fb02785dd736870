// SPDX-License-Identifier: Apache-2.0
// What begins with a backslash, and character classes.
#include <utility>

#include "base/try.hpp"
#include "regex/python_regex_translator.hpp"

namespace ferrule::regex {
namespace {

constexpr std::string_view kWordMembers = "\\p{L}\\p{N}_";
constexpr std::string_view kSpaceMembers =
    "\\x{09}-\\x{0d}\\x{1c}-\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}"
    "\\x{202f}\\x{205f}\\x{3000}";

constexpr std::string_view kNoSpaceMembers =
    "\\x{00}-\\x{08}\\x{0e}-\\x{1b}\\x{21}-\\x{84}\\x{86}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{"
    "1fff}"
    "\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{"
    "10ffff}";

unsigned octal_value(std::string_view digits) {
  unsigned value = 0;
  for (const char c : digits) value = value * 8 + static_cast<unsigned>(c - '0');
  return value;
}

std::optional<char32_t> control_escape(char letter) {
  constexpr std::string_view kLetters = "afnrtv";
  constexpr std::string_view kValues = "\a\f\n\r\t\v";
  const auto at = kLetters.find(letter);
  if (at == std::string_view::npos) return std::nullopt;
  return static_cast<char32_t>(kValues[at]);
}

}  // namespace

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

/// The character of an escape in a class, or nullopt if it was a category.
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

}  // namespace ferrule::regex
