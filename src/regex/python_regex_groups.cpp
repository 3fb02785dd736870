// SPDX-License-Identifier: Apache-2.0
// What begins with "(", and references to groups.
#include <algorithm>
#include <utility>

#include "base/try.hpp"
#include "base/utf8.hpp"
#include "regex/python_regex_translator.hpp"

namespace ferrule::regex {

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
    FERRULE_CHECK(alternatives(flags, depth + 1));
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

/// (?flags-flags:...). Flags for the rest of the expression are refused: they belong at its start.
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

}  // namespace ferrule::regex
