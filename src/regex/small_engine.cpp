// SPDX-License-Identifier: Apache-2.0
// A matcher that backtracks, for libraries without PCRE2. It has no tables of Unicode: a class that
// asks what a character beyond ASCII is (\w, \d, or a letter in either case) is refused when it
// meets one. Names of modules are ASCII.
#include <algorithm>
#include <cstdint>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "base/utf8.hpp"
#include "ferrule/text.hpp"
#include "regex/engine.hpp"
#include "regex/small_program.hpp"

namespace ferrule::regex {
namespace {

constexpr std::size_t kUnset = SIZE_MAX;
constexpr std::uint64_t kMaxSteps = 1'000'000;
constexpr std::size_t kMaxStackBytes = std::size_t{16} << 20;

enum class Outcome : std::uint8_t { kNo, kYes, kTooLong, kNeedsUnicode };

bool is_ascii_letter(char32_t c) { return (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z'); }
bool is_ascii_digit(char32_t c) { return c >= U'0' && c <= U'9'; }
char32_t other_case(char32_t c) { return is_ascii_letter(c) ? c ^ 0x20U : c; }

/// One attempt on one text.
class Matcher {
 public:
  Matcher(const SmallProgram& program, std::string_view text)
      : program_(program), text_(text), slots_(program.slots, kUnset) {}

  Outcome run(Anchor anchor) {
    must_end_ = anchor == Anchor::kBoth;
    for (std::size_t start = 0; start <= text_.size(); start += point_at(start).bytes) {
      std::fill(slots_.begin(), slots_.end(), kUnset);
      std::size_t end = 0;
      const auto outcome = match(0, start, end, 0);
      if (outcome == Outcome::kYes) {
        slots_[0] = start;
        slots_[1] = end;
      }
      if (outcome != Outcome::kNo || anchor != Anchor::kNone) return outcome;
    }
    return Outcome::kNo;
  }

  std::string_view group(std::uint32_t which) const {
    const auto from = slots_[2 * which];
    const auto to = slots_[2 * which + 1];
    if (from == kUnset || to == kUnset) return {};
    return {text_.data() + from, to - from};
  }

 private:
  /// Where to go on, or with kNone as place: what a slot held before.
  struct Entry {
    std::uint32_t place;
    std::uint32_t slot;
    std::size_t position;
  };
  static constexpr std::uint32_t kNone = UINT32_MAX;

  base::CodePoint point_at(std::size_t at) const {
    if (at >= text_.size()) return {0, 1};
    const auto c = static_cast<unsigned char>(text_[at]);
    if (c < 0x80) return {c, 1};
    return base::decode_utf8(text_.substr(at)).value_or(base::CodePoint{0xfffd, 1});
  }

  bool push(Entry entry) {
    stack_.push_back(entry);
    return stack_.size() <= kMaxStackBytes / sizeof(Entry);
  }

  void set_slot(std::uint32_t slot, std::size_t position) {
    push({kNone, slot, slots_[slot]});
    slots_[slot] = position;
  }

  /// Takes back what was done since the last choice above `floor`, and gives the other way of that
  /// choice.
  bool back(std::size_t floor, std::uint32_t& place, std::size_t& at) {
    while (stack_.size() > floor) {
      const auto entry = stack_.back();
      stack_.pop_back();
      if (entry.place != kNone) {
        place = entry.place;
        at = entry.position;
        return true;
      }
      slots_[entry.slot] = entry.position;
    }
    return false;
  }

  /// Drops the choices above `floor`, but not how to take back what was done.
  void commit(std::size_t floor) {
    const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(floor);
    stack_.erase(std::remove_if(begin, stack_.end(),
                                [](const Entry& entry) { return entry.place != kNone; }),
                 stack_.end());
  }

  Outcome match(std::uint32_t place, std::size_t at, std::size_t& end, int depth) {
    const std::size_t floor = stack_.size();
    while (true) {
      if (++steps_ > kMaxSteps || stack_.size() > kMaxStackBytes / sizeof(Entry)) {
        return Outcome::kTooLong;
      }
      const auto& one = program_.code[place];
      if (one.op == Op::kAccept) {
        if (depth != 0 || !must_end_ || at == text_.size()) {
          end = at;
          return Outcome::kYes;
        }
      } else {
        const auto outcome = step(one, place, at, depth);
        if (outcome == Outcome::kYes) continue;
        if (outcome != Outcome::kNo) return outcome;
      }
      if (!back(floor, place, at)) return Outcome::kNo;
    }
  }

  /// One instruction: moves on, or says why not.
  Outcome step(const Instruction& one, std::uint32_t& place, std::size_t& at, int depth) {
    switch (one.op) {
      case Op::kChar:
      case Op::kAny:
      case Op::kClass:
        return consume(one, place, at);
      case Op::kSplit: {
        const auto first = one.flag ? one.value : one.next;
        push({one.flag ? one.next : one.value, 0, at});
        place = first;
        return Outcome::kYes;
      }
      case Op::kSave:
        set_slot(one.value, at);
        place = one.next;
        return Outcome::kYes;
      case Op::kProgress:
        place = slots_[one.value] == at ? one.next : place + 1;
        return Outcome::kYes;
      case Op::kIfGroup:
        place = slots_[2 * one.value + 1] == kUnset ? one.next : place + 1;
        return Outcome::kYes;
      case Op::kReference:
        return refer(one, place, at);
      case Op::kLookAhead:
      case Op::kLookBehind:
      case Op::kAtomic:
        return apart(one, place, at, depth);
      default:
        place = one.next;
        return holds(one, at) ? Outcome::kYes : Outcome::kNo;
    }
  }

  /// Whether a condition on the position holds; a jump has none.
  bool holds(const Instruction& one, std::size_t at) const {
    const bool at_end = at == text_.size();
    switch (one.op) {
      case Op::kStart:
        return at == 0 || (one.flag && text_[at - 1] == '\n');
      case Op::kEnd:
        return at_end || (text_[at] == '\n' && (one.flag || at + 1 == text_.size()));
      case Op::kTextStart:
        return at == 0;
      case Op::kTextEnd:
        return at_end;
      default:
        return true;
    }
  }

  Outcome consume(const Instruction& one, std::uint32_t& place, std::size_t& at) {
    if (at >= text_.size()) return Outcome::kNo;
    const auto point = point_at(at);
    auto outcome = Outcome::kNo;
    if (one.op == Op::kAny) {
      outcome = one.flag || point.value != U'\n' ? Outcome::kYes : Outcome::kNo;
    } else if (one.ignores_case && (point.value >= 0x80 || one.value >= 0x80)) {
      return Outcome::kNeedsUnicode;
    } else {
      outcome = is(one, point.value);
    }
    at += point.bytes;
    place = one.next;
    return outcome;
  }

  Outcome is(const Instruction& one, char32_t c) const {
    const auto other = one.ignores_case ? other_case(c) : c;
    if (one.op == Op::kChar) {
      return c == one.value || other == one.value ? Outcome::kYes : Outcome::kNo;
    }
    const auto& set = program_.classes[one.value];
    bool found = false;
    bool needs_unicode = false;
    for (const auto& item : set.items) {
      if (item.category != Category::kNone) {
        needs_unicode = needs_unicode || c >= 0x80;
        found = found || (c < 0x80 && is_in(item.category, c));
      } else {
        const auto has = [&](char32_t one_case) {
          return one_case >= item.low && one_case <= item.high;
        };
        found = found || has(c) || has(other);
      }
    }
    if (!found && needs_unicode) return Outcome::kNeedsUnicode;
    return found != set.is_negated ? Outcome::kYes : Outcome::kNo;
  }

  static bool is_in(Category category, char32_t c) {
    switch (category) {
      case Category::kLetter:
        return is_ascii_letter(c);
      case Category::kNumber:
      case Category::kDigit:
        return is_ascii_digit(c);
      case Category::kNotDigit:
        return !is_ascii_digit(c);
      default:
        return !is_ascii_letter(c) && !is_ascii_digit(c) && c != U'_';
    }
  }

  Outcome refer(const Instruction& one, std::uint32_t& place, std::size_t& at) {
    const auto from = slots_[2 * one.value];
    const auto to = slots_[2 * one.value + 1];
    if (from == kUnset || to == kUnset) return Outcome::kNo;
    const auto size = to - from;
    if (text_.size() - at < size) return Outcome::kNo;
    steps_ += size;
    for (std::size_t i = 0; i < size; ++i) {
      const auto a = static_cast<unsigned char>(text_[from + i]);
      const auto b = static_cast<unsigned char>(text_[at + i]);
      if (one.ignores_case && (a >= 0x80 || b >= 0x80)) return Outcome::kNeedsUnicode;
      if (a != b && (!one.ignores_case || other_case(a) != b)) return Outcome::kNo;
    }
    at += size;
    place = one.next;
    return Outcome::kYes;
  }

  Outcome apart(const Instruction& one, std::uint32_t& place, std::size_t& at, int depth) {
    const std::size_t floor = stack_.size();
    std::size_t end = at;
    auto outcome = Outcome::kNo;
    if (one.op == Op::kLookBehind) {
      // Of a fixed width: it matches from one place at most.
      for (std::size_t start = at;; --start) {
        const bool is_start =
            start == at || (static_cast<unsigned char>(text_[start]) & 0xc0U) != 0x80U;
        if (is_start) outcome = match(place + 1, start, end, depth + 1);
        const bool is_found = outcome == Outcome::kYes && end == at;
        if (outcome == Outcome::kYes && !is_found) {
          undo(floor);
          outcome = Outcome::kNo;
        }
        if (is_found || outcome != Outcome::kNo || start == 0) break;
      }
    } else {
      outcome = match(place + 1, at, end, depth + 1);
    }
    if (outcome != Outcome::kNo && outcome != Outcome::kYes) return outcome;
    const bool is_wanted = (outcome == Outcome::kYes) != one.flag;
    if (outcome == Outcome::kYes) {
      if (one.flag) {
        undo(floor);
      } else {
        commit(floor);
      }
    }
    if (!is_wanted) return Outcome::kNo;
    if (one.op == Op::kAtomic) at = end;
    place = one.next;
    return Outcome::kYes;
  }

  void undo(std::size_t floor) {
    std::uint32_t place = 0;
    std::size_t at = 0;
    while (back(floor, place, at)) continue;
  }

  const SmallProgram& program_;
  std::string_view text_;
  bool must_end_ = false;
  std::vector<std::size_t> slots_;
  std::vector<Entry> stack_;
  std::uint64_t steps_ = 0;
};

class SmallEngine final : public Engine {
 public:
  SmallEngine(std::string expression, SmallProgram program)
      : expression_(std::move(expression)), program_(std::move(program)) {}

  Result<bool> run(std::string_view text, Anchor anchor, std::vector<std::string_view>* groups,
                   bool all_groups) const override {
    if (!base::is_utf8(text)) return false;
    Matcher matcher(program_, text);
    switch (matcher.run(anchor)) {
      case Outcome::kNo:
        return false;
      case Outcome::kTooLong:
        return base::make_error(ErrorCode::kLimitExceeded, "CF-22",
                                "regular expression " + quote(expression_) +
                                    " takes too many steps on " + quote(text) +
                                    "; PEFT would not finish on it");
      case Outcome::kNeedsUnicode:
        return base::unsupported("CF-21", "regular expression " + quote(expression_) +
                                              " asks what a character of " + quote(text) +
                                              " is, and this build of Ferrule knows only ASCII");
      case Outcome::kYes:
        break;
    }
    const std::uint32_t count = all_groups ? program_.groups : 1;
    for (std::uint32_t i = 0; groups != nullptr && i < count; ++i) {
      groups->push_back(matcher.group(i));
    }
    return true;
  }

 private:
  std::string expression_;
  SmallProgram program_;
};

}  // namespace

Result<std::unique_ptr<const Engine>> compile_small(std::string_view expression,
                                                    std::string_view translated) {
  auto program = compile_small_program(translated);
  if (!program) {
    return base::unsupported("CF-21", "regular expression " + quote(expression) +
                                          " cannot be run by Ferrule: " + program.error().message);
  }
  return std::unique_ptr<const Engine>(
      std::make_unique<SmallEngine>(std::string(expression), std::move(program).value()));
}

}  // namespace ferrule::regex
