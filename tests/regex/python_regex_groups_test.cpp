// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string_view>

#include "regex/regex_rows.hpp"

namespace ferrule::regex {
namespace {

using std::string_view_literals::operator""sv;
using test::kNoMatch;
using test::kUnset;

TEST(PythonRegexGroups, Captures) {
  test::expect_searches({
      {"(a)(b)?", "a", {"a", "a", kUnset}},
      {"(a)(b)?", "ab", {"ab", "a", "b"}},
      {"((a)(b))", "ab", {"ab", "ab", "a", "b"}},
      {"(a)|(b)", "b", {"b", kUnset, "b"}},
      {"()", "", {"", ""}},
      {"(a*)*", "aa", {"aa", ""}},
      {"(a*)*", "b", {"", ""}},
      {"(?:a)(b)", "ab", {"ab", "b"}},
      {"(?P<name>a)(?P<_n2>b)", "ab", {"ab", "a", "b"}},
      {"(a)(?#comment)(b)", "ab", {"ab", "a", "b"}},
      {"(?P<\303\251>a)", "a", {"a", "a"}},
  });
}

TEST(PythonRegexGroups, BadCapturesRefuseWhatPythonRefuses) {
  test::expect_refusals(
      {"(",      ")",       "(a",       "a)",      "(?",         "(?P",
       "(?P<",   "(?P<>a)", "(?P<1>a)", "(?P<a",   "(?P<a-b>c)", "(?P<a>b)(?P<a>c)",
       "(?P>a)", "(?Pa)",   "(?<a>b)",  "(?'a'b)", "(?#",        "(?#a",
       "(?&a)",  "(?R)",    "(?1)",     "(?|a)",   "(?^a)",      "(?@)",
       "(?$)",   "(?C)",    "(*VERB)",  "(*UTF)a"});
}

TEST(PythonRegexGroups, Lookarounds) {
  test::expect_searches({
      {"a(?=b)", "ab", {"a"}},
      {"a(?=b)", "ac", kNoMatch},
      {"a(?!b)", "ab", kNoMatch},
      {"a(?!b)", "ac", {"a"}},
      {"(?<=a)b", "ab", {"b"}},
      {"(?<=a)b", "cb", kNoMatch},
      {"(?<!a)b", "ab", kNoMatch},
      {"(?<!a)b", "cb", {"b"}},
      {"(?=(a))a", "a", {"a", "a"}},
      {"(?<=(a))b", "ab", {"b", "a"}},
      {"(?<=ab|cd)x", "cdx", {"x"}},
      {"(?<=^)a", "a", {"a"}},
      {"(?!)", "a", kNoMatch},
      {"(?=)", "a", {""}},
      {"(?<=a(?=b))b", "ab", {"b"}},
  });
}

TEST(PythonRegexGroups, BadLookaroundsRefuseWhatPythonRefuses) {
  test::expect_refusals({"(?=", "(?!a", "(?<=a*)b", "(?<=a|bc)d", "(?<!a+)b", "(?<=(a)\\1)b",
                         "(?<a", "(?<", "(?<=", "(?<=a{1,2})b"});
}

TEST(PythonRegexGroups, Conditionals) {
  test::expect_searches({
      {"(a)?(?(1)b|c)", "ab", {"ab", "a"}},
      {"(a)?(?(1)b|c)", "c", {"c", kUnset}},
      {"(a)?(?(1)b|c)", "b", kNoMatch},
      {"(?P<x>a)?(?(x)b|c)", "ab", {"ab", "a"}},
      {"(?P<x>a)?(?(x)b|c)", "c", {"c", kUnset}},
      {"(a)?(?(1)b)", "ab", {"ab", "a"}},
      {"(a)?(?(1)b)", "x", {"", kUnset}},
      {"(a)?b(?(1)c|d)", "abc", {"abc", "a"}},
      {"(a)?b(?(1)c|d)", "bd", {"bd", kUnset}},
      {"(a)?b(?(1)c|d)", "abd", {"bd", kUnset}},
  });
}

TEST(PythonRegexGroups, BadConditionalsRefuseWhatPythonRefuses) {
  test::expect_refusals({"(?(1)a|b)", "(a)(?(2)b)", "(a)(?(x)b)", "(a)(?(0)b)", "(a)(?(1)b|c|d)",
                         "(a)(?(1", "(a)(?(1)", "(a)(?()b)", "(?(", "(a)(?(-1)b)"});
}

TEST(PythonRegexGroups, Flags) {
  test::expect_searches({
      {"(?i)abc", "ABC", {"ABC"}},
      {"(?i:a)b", "Ab", {"Ab"}},
      {"(?i:a)b", "AB", kNoMatch},
      {"(?-i:a)", "a", {"a"}},
      {"(?-i:a)", "A", kNoMatch},
      {"(?i)a(?-i:b)c", "AbC", {"AbC"}},
      {"(?i)a(?-i:b)c", "ABC", kNoMatch},
      {"(?s).", "\n", {"\n"}},
      {".", "\n", kNoMatch},
      {".", "\015", {"\015"}},
      {".", "\342\200\250", {"\342\200\250"}},
      {".", "\302\205", {"\302\205"}},
      {"(?s:.)a", "\na", {"\na"}},
      {"(?x) a b # c", "ab", {"ab"}},
      {"(?x) a\\ b [ ] c", "a b c", {"a b c"}},
      {"(?x:a b) c", "ab c", {"ab c"}},
      {"(?x)a#b\nc", "ac", {"ac"}},
      {"(?ms)^a.b$", "x\na\nb", {"a\nb"}},
      {"(?i)\\u212a", "k", {"k"}},
      {"(?i)\\u212a", "K", {"K"}},
      {"(?i)\303\237", "\303\237", {"\303\237"}},
      {"(?i)\303\237", "\341\272\236", {"\341\272\236"}},
      {"(?i)\305\277", "s", {"s"}},
      {"(?u)\303\251", "\303\251", {"\303\251"}},
      {"(?x-i:a B)", "aB", {"aB"}},
      {"(?x-i:a B)", "ab", kNoMatch},
      {"(?im)^A", "b\na", {"a"}},
  });
}

TEST(PythonRegexGroups, BadFlagsRefuseWhatPythonRefuses) {
  test::expect_refusals({"a(?i)b",   "(?i",           "(?z)",     "(?i-)",    "(?-i)",   "(?L)a",
                         "(?au)a",   "(?a-i:b)(?u:c", "(?i-i:a)", "(?:i",     "(?-",     "(?-:a)",
                         "(?ii-:a)", "(?-a:b)",       "(?-u:b)",  "(?aL:b)",  "(?iz:b)", "(?J)",
                         "(?U)",     "(?n)",          "(?xx",     "(?i)a(?s)"});
}

TEST(PythonRegexGroups, Atomic) {
  test::expect_searches({
      {"(?>a+)b", "aab", {"aab"}},
      {"(?>a+)ab", "aab", kNoMatch},
      {"(?>a|ab)c", "abc", kNoMatch},
      {"a++b", "aab", {"aab"}},
      {"a++ab", "aab", kNoMatch},
      {"a?+a", "a", kNoMatch},
      {"a?+a", "aa", {"aa"}},
      {"a*+a", "aa", kNoMatch},
      {"(?:ab){1,2}+c", "ababc", {"ababc"}},
  });
}

}  // namespace
}  // namespace ferrule::regex
