// SPDX-License-Identifier: Apache-2.0
#include "regex/small_program.hpp"

#include <gtest/gtest.h>

#include <string>

#include "regex/python_regex.hpp"

namespace ferrule::regex {
namespace {

Result<SmallProgram> program_of(std::string_view expression) {
  return compile_small_program(translate_python_regex(expression).value());
}

TEST(SmallProgram, EveryPlaceIsInTheCode) {
  for (const std::string_view text :
       {"", "a", "a|b|", "(a|b)*c{2,3}?", "(?:(a)|b)+(?(1)c|d)", "(?<=ab)c(?!d)[a-z\\d_.-]++",
        "\\bq_proj\\Z", "(?i:x)(?>y*)", "((((a*)*)*)*)*", "a{0}b{,2}"}) {
    const auto program = program_of(text);
    ASSERT_TRUE(program) << text;
    ASSERT_FALSE(program->code.empty());
    EXPECT_EQ(program->code.back().op, Op::kAccept);
    for (const auto& one : program->code) {
      if (one.op != Op::kAccept) {
        EXPECT_LT(one.next, program->code.size()) << text;
      }
      if (one.op == Op::kSplit) {
        EXPECT_LT(one.value, program->code.size()) << text;
      }
      if (one.op == Op::kClass) {
        EXPECT_LT(one.value, program->classes.size()) << text;
      }
      if (one.op == Op::kSave || one.op == Op::kProgress) {
        EXPECT_LT(one.value, program->slots);
      }
    }
  }
}

TEST(SmallProgram, OneThatIsTooLargeIsRefused) {
  std::string many;
  for (int i = 0; i < 40'000; ++i) many += "a|";
  for (const std::string& text :
       {std::string("((a{900}){900}){900}"), std::string("(a{60000}b){60000}"), many,
        std::string("(a|b){40000}")}) {
    const auto program = program_of(text);
    ASSERT_FALSE(program) << text.substr(0, 40);
    EXPECT_EQ(program.error().code, ErrorCode::kUnsupported);
  }
}

}  // namespace
}  // namespace ferrule::regex
