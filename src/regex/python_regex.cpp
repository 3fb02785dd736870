// SPDX-License-Identifier: Apache-2.0
#include "regex/python_regex.hpp"

#include <cstdio>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "base/utf8.hpp"
#include "ferrule/text.hpp"
#include "regex/python_regex_translator.hpp"

namespace ferrule::regex {

Result<std::string> Translator::run() {
  if (!base::is_utf8(text_)) return invalid("it is not UTF-8");
  FERRULE_CHECK(global_flags());
  FERRULE_CHECK(alternatives(Flags{verbose_, ascii_}, 0));
  if (at_ < text_.size()) return invalid("unbalanced parenthesis");
  for (const std::uint64_t group : conditions_) {
    if (group >= groups_.size()) return invalid("invalid group reference");
  }
  return std::move(out_);
}

Error Translator::make_error(ErrorCode code, std::string_view rule, std::string_view what) const {
  return base::make_error(code, rule,
                          "regular expression " + quote(text_) +
                              (code == ErrorCode::kCorrupt ? " is not valid in Python: "
                                                           : " cannot be run by Ferrule: ") +
                              std::string(what) + " at position " + std::to_string(at_));
}

char32_t Translator::take_point() {
  const auto point = base::decode_utf8(text_.substr(at_)).value_or(base::CodePoint{0xfffd, 1});
  at_ += point.bytes;
  return point.value;
}

void Translator::literal(char32_t c) {
  char buffer[16];
  const bool word =
      c < 0x80 && (is_letter(static_cast<char>(c)) || is_digit(static_cast<char>(c)) || c == U'_');
  if (word || c >= 0xa0) {
    base::append_utf8(out_, c);
  } else {
    std::snprintf(buffer, sizeof buffer, "\\x{%02x}", static_cast<unsigned>(c));
    out_ += buffer;
  }
}

/// Flags for the whole expression, which only its very start can have.
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
  if (depth > kMaxNesting) return unsupported("groups nested too deeply");
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

/// Reads a quantifier, if there is one, and applies it to the item before it.
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
    // "{}", and anything else that is not a repeat, stands for itself.
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
  constexpr std::uint64_t kMaxRepeat = 65535;
  if (least > kMaxRepeat || (most != kUnbounded && most > kMaxRepeat)) {
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

Result<std::string> translate_python_regex(std::string_view expression) {
  return Translator(expression).run();
}

}  // namespace ferrule::regex
