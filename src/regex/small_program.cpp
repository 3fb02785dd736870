// SPDX-License-Identifier: Apache-2.0
#include "regex/small_program.hpp"

#include <algorithm>
#include <utility>

#include "base/ascii.hpp"
#include "base/errors.hpp"
#include "base/try.hpp"
#include "base/utf8.hpp"

namespace ferrule::regex {
namespace {

constexpr std::size_t kMaxCode = 1 << 16;
constexpr std::uint32_t kNoMaximum = UINT32_MAX;

struct Modes {
  bool ignores_case = false;
  bool multi_line = false;
  bool dot_all = false;
};

/// Reads the text, which the translator has checked, and writes instructions. A piece of code that
/// is repeated is copied: places in it are relative until the end.
class Compiler {
 public:
  explicit Compiler(std::string_view text) : text_(text) {}

  Result<SmallProgram> run() {
    FERRULE_TRY(auto code, alternatives(Modes{}));
    program_.code = std::move(code);
    program_.code.push_back({.op = Op::kAccept});
    // From distances to places.
    for (std::uint32_t at = 0; at < program_.code.size(); ++at) {
      auto& one = program_.code[at];
      one.next += at;
      if (one.op == Op::kSplit) one.value += at;
    }
    // Slots of loops come after those of all groups.
    for (auto& one : program_.code) {
      if (one.op == Op::kProgress || (one.op == Op::kSave && one.flag)) {
        one.value += 2 * program_.groups;
        one.flag = false;
      }
    }
    program_.slots = 2 * program_.groups + loops_;
    return std::move(program_);
  }

 private:
  using Code = std::vector<Instruction>;

  static Error too_large() { return base::unsupported("CF-21", "it is too large"); }

  bool done() const { return at_ >= text_.size(); }
  bool take(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  bool next_is(char c) const { return !done() && text_[at_] == c; }

  std::uint32_t number() {
    std::uint32_t value = 0;
    while (!done() && base::is_digit(text_[at_])) {
      value = value * 10 + static_cast<std::uint32_t>(text_[at_++] - '0');
    }
    return value;
  }

  /// "\x{...}" or a character that stands for itself.
  char32_t character() {
    if (!take("\\x{")) {
      const auto point = base::decode_utf8(text_.substr(at_)).value_or(base::CodePoint{0xfffd, 1});
      at_ += point.bytes;
      return point.value;
    }
    char32_t value = 0;
    while (!done() && text_[at_] != '}') {
      const char c = text_[at_++];
      value = value * 16 + static_cast<char32_t>(base::is_digit(c) ? c - '0' : c - 'a' + 10);
    }
    take("}");
    return value;
  }

  static std::uint32_t size_of(const Code& code) { return static_cast<std::uint32_t>(code.size()); }

  static void append(Code& code, const Code& more) {
    code.insert(code.end(), more.begin(), more.end());
  }

  Result<Code> alternatives(Modes modes) {
    // "(?i)" and its like, at the start of the expression alone.
    while (true) {
      if (take("(?i)")) {
        modes.ignores_case = true;
      } else if (take("(?m)")) {
        modes.multi_line = true;
      } else if (take("(?s)")) {
        modes.dot_all = true;
      } else {
        break;
      }
    }
    std::vector<Code> all;
    std::size_t size = 0;
    do {
      FERRULE_TRY(all.emplace_back(), sequence(modes));
      size += all.back().size() + 2;
      if (size > kMaxCode) return too_large();
    } while (take("|"));
    Code code;
    code.reserve(size);
    const auto end = static_cast<std::uint32_t>(size - 2);
    for (std::size_t i = 0; i < all.size(); ++i) {
      const bool is_last = i + 1 == all.size();
      if (!is_last) {
        code.push_back({.op = Op::kSplit, .value = size_of(all[i]) + 2, .next = 1});
      }
      append(code, all[i]);
      if (!is_last) code.push_back({.op = Op::kJump, .next = end - size_of(code)});
    }
    return code;
  }

  Result<Code> sequence(Modes modes) {
    Code code;
    while (!done() && !next_is('|') && !next_is(')')) {
      FERRULE_TRY(Code item, this->item(modes));
      FERRULE_TRY(item, repeated(std::move(item)));
      append(code, item);
      if (code.size() > kMaxCode) return too_large();
    }
    return code;
  }

  Result<Code> item(Modes modes) {
    const auto one = [](Instruction instruction) {
      instruction.next = 1;
      return Code{instruction};
    };
    if (take("(")) return group(modes);
    if (take("[")) return one(character_class(modes));
    if (take(".")) return one({.op = Op::kAny, .flag = modes.dot_all});
    if (take("^")) return one({.op = Op::kStart, .flag = modes.multi_line});
    if (take("$")) return one({.op = Op::kEnd, .flag = modes.multi_line});
    if (take("\\A")) return one({.op = Op::kTextStart});
    if (take("\\z")) return one({.op = Op::kTextEnd});
    if (take("\\g{")) {
      const auto which = number();
      take("}");
      return one({.op = Op::kReference, .ignores_case = modes.ignores_case, .value = which});
    }
    const bool is_escape = text_.substr(at_).starts_with("\\x{");
    if (next_is('\\') && !is_escape) return base::unsupported("CF-21", "an escape is not known");
    return one({.op = Op::kChar, .ignores_case = modes.ignores_case, .value = character()});
  }

  Instruction character_class(Modes modes) {
    CharacterClass set;
    set.is_negated = take("^");
    struct Word {
      std::string_view text;
      Category category;
    };
    constexpr Word kWords[] = {{"\\p{L}", Category::kLetter},
                               {"\\p{Nd}", Category::kDigit},
                               {"\\p{N}", Category::kNumber},
                               {"\\P{Nd}", Category::kNotDigit},
                               {"\\W", Category::kNotWord}};
    while (!done() && !take("]")) {
      const auto word = std::find_if(std::begin(kWords), std::end(kWords),
                                     [&](const Word& one) { return take(one.text); });
      if (word != std::end(kWords)) {
        set.items.push_back({.category = word->category});
        continue;
      }
      const auto low = character();
      const auto high = take("-") ? character() : low;
      set.items.push_back({.low = low, .high = high});
    }
    program_.classes.push_back(std::move(set));
    return {.op = Op::kClass,
            .ignores_case = modes.ignores_case,
            .value = static_cast<std::uint32_t>(program_.classes.size() - 1)};
  }

  Result<Code> group(Modes modes) {
    if (!take("?")) {
      const auto which = program_.groups++;
      FERRULE_TRY(Code code, alternatives(modes));
      take(")");
      code.insert(code.begin(), {.op = Op::kSave, .value = 2 * which, .next = 1});
      code.push_back({.op = Op::kSave, .value = 2 * which + 1, .next = 1});
      return code;
    }
    if (take(">")) return apart(Op::kAtomic, false, modes);
    if (take("=")) return apart(Op::kLookAhead, false, modes);
    if (take("!")) return apart(Op::kLookAhead, true, modes);
    if (take("<=")) return apart(Op::kLookBehind, false, modes);
    if (take("<!")) return apart(Op::kLookBehind, true, modes);
    if (take("(")) return conditional(modes);
    bool on = true;
    while (!done() && !take(":")) {
      const char c = text_[at_++];
      if (c == '-') on = false;
      if (c == 'i') modes.ignores_case = on;
      if (c == 'm') modes.multi_line = on;
      if (c == 's') modes.dot_all = on;
    }
    FERRULE_TRY(Code code, alternatives(modes));
    take(")");
    return code;
  }

  /// A piece that is matched as a program of its own.
  Result<Code> apart(Op op, bool flag, Modes modes) {
    FERRULE_TRY(const Code body, alternatives(modes));
    take(")");
    return wrapped(op, flag, body);
  }

  static Code wrapped(Op op, bool flag, const Code& body) {
    Code code{{.op = op, .flag = flag, .next = size_of(body) + 2}};
    append(code, body);
    code.push_back({.op = Op::kAccept, .next = 1});
    return code;
  }

  /// "(?(N)yes|no)", after "(?(".
  Result<Code> conditional(Modes modes) {
    const auto which = number();
    take(")");
    FERRULE_TRY(const Code yes, sequence(modes));
    Code no;
    if (take("|")) {
      FERRULE_TRY(no, sequence(modes));
    }
    take(")");
    Code code{{.op = Op::kIfGroup, .value = which, .next = size_of(yes) + 2}};
    append(code, yes);
    code.push_back({.op = Op::kJump, .next = size_of(no) + 1});
    append(code, no);
    return code;
  }

  /// The item with the quantifier that follows, if there is one.
  Result<Code> repeated(Code item) {
    if (!take("{")) return item;
    const auto least = number();
    take(",");
    const auto most = next_is('}') ? kNoMaximum : number();
    take("}");
    const bool is_lazy = take("?");
    const bool is_possessive = !is_lazy && take("+");
    const std::uint64_t copies = most == kNoMaximum ? std::uint64_t{least} + 1 : most;
    if (copies * (item.size() + 4) > kMaxCode) return too_large();
    Code code;
    for (std::uint32_t i = 0; i < least; ++i) append(code, item);
    if (most == kNoMaximum) {
      append_loop(code, item, is_lazy);
    } else {
      append_optional(code, item, most - least, is_lazy);
    }
    return is_possessive ? wrapped(Op::kAtomic, false, code) : code;
  }

  /// Any number of times; a round that matches nothing is the last.
  void append_loop(Code& code, const Code& item, bool is_lazy) {
    const auto slot = loops_++;
    // split END; save; item; progress; jump SPLIT; END. kSave and kProgress count slots from the
    // end of the groups, which `flag` says.
    const auto round = size_of(item) + 3;
    code.push_back({.op = Op::kSplit, .flag = is_lazy, .value = round + 1, .next = 1});
    code.push_back({.op = Op::kSave, .flag = true, .value = slot, .next = 1});
    append(code, item);
    code.push_back({.op = Op::kProgress, .value = slot, .next = 2});
    code.push_back({.op = Op::kJump, .next = 0U - round});
  }

  static void append_optional(Code& code, const Code& item, std::uint32_t times, bool is_lazy) {
    // split END; item; split END; item; ...
    const auto round = size_of(item) + 1;
    for (std::uint32_t i = times; i > 0; --i) {
      code.push_back({.op = Op::kSplit, .flag = is_lazy, .value = i * round, .next = 1});
      append(code, item);
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::uint32_t loops_ = 0;
  SmallProgram program_;
};

}  // namespace

Result<SmallProgram> compile_small_program(std::string_view translated) {
  return Compiler(translated).run();
}

}  // namespace ferrule::regex
