// SPDX-License-Identifier: Apache-2.0
// A translated expression as instructions of a machine that backtracks.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "ferrule/result.hpp"

namespace ferrule::regex {

enum class Op : std::uint8_t {
  kAccept,
  kChar,        ///< `value`.
  kAny,         ///< Any character, or any but a newline unless `flag`.
  kClass,       ///< The class at `value`.
  kStart,       ///< "^": the start of the text, or of a line if `flag`.
  kEnd,         ///< "$": the end, in front of a last newline too, or the end of a line if `flag`.
  kTextStart,   ///< "\A".
  kTextEnd,     ///< "\z".
  kSplit,       ///< Goes to `next`, and later to `value`; the other way around if `flag`.
  kJump,        ///< Goes to `next`.
  kSave,        ///< Keeps the position in the slot `value`.
  kProgress,    ///< Goes on if the position moved since the slot `value` was set, else to `next`.
  kReference,   ///< What the group `value` matched.
  kIfGroup,     ///< Goes on if the group `value` matched, else to `next`.
  kLookAhead,   ///< The program at the next place matches here (or not, if `flag`); ends at `next`.
  kLookBehind,  ///< The same for what ends here.
  kAtomic,      ///< The program at the next place, of which only the first match counts.
};

struct Instruction {
  Op op = Op::kAccept;
  bool flag = false;
  /// Of a character, class or reference: letters of ASCII match in both cases.
  bool ignores_case = false;
  std::uint32_t value = 0;
  std::uint32_t next = 0;
};

/// Characters of Unicode by what they are.
enum class Category : std::uint8_t { kNone, kLetter, kNumber, kDigit, kNotDigit, kNotWord };

struct ClassItem {
  Category category = Category::kNone;
  char32_t low = 0;
  char32_t high = 0;
};

struct CharacterClass {
  bool is_negated = false;
  std::vector<ClassItem> items;
};

struct SmallProgram {
  std::vector<Instruction> code;
  std::vector<CharacterClass> classes;
  /// Two slots a group, the whole match first, then one for each loop.
  std::uint32_t groups = 1;
  std::uint32_t slots = 2;
};

/// Compiles what translate_python_regex() writes. The message of a failure (kUnsupported) is only
/// what is wrong.
Result<SmallProgram> compile_small_program(std::string_view translated);

}  // namespace ferrule::regex
