// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string_view>

#include "regex/regex_rows.hpp"

namespace ferrule::regex {
namespace {

using std::string_view_literals::operator""sv;
using test::kNoMatch;
using test::kUnset;

TEST(PythonRegexEscapes, Categories) {
  test::expect_searches({
      {"\\d+", "a12b", {"12"}},
      {"\\d+", "\331\243", {"\331\243"}},
      {"\\d+", "\302\262", kNoMatch},
      {"\\d+", "", kNoMatch},
      {"\\D+", "12a", {"a"}},
      {"\\w+", "a_1-b", {"a_1"}},
      {"\\w+", "\303\251", {"\303\251"}},
      {"\\w+", "- ", kNoMatch},
      {"\\w+", "\303\237\331\241", {"\303\237\331\241"}},
      {"\\W+", "a-b", {"-"}},
      {"\\W+", "\303\251!", {"!"}},
      {"\\s+", "a \011\n\013\014b", {" \011\n\013\014"}},
      {"\\s+", "\302\240", {"\302\240"}},
      {"\\s+", "\342\200\203", {"\342\200\203"}},
      {"\\s+", "\034", {"\034"}},
      {"\\s+", "\302\205", {"\302\205"}},
      {"\\s+", "\342\200\213", kNoMatch},
      {"\\S+", " a ", {"a"}},
      {"(?a)\\w+", "\303\251", kNoMatch},
      {"(?a)\\w+", "a", {"a"}},
      {"(?a)\\d", "\331\243", kNoMatch},
      {"(?a)\\d", "3", {"3"}},
      {"(?a)\\s", "\302\240", kNoMatch},
      {"(?a)\\s", " ", {" "}},
      {"(?a)\\b.", "\303\251a", {"a"}},
  });
}

TEST(PythonRegexEscapes, Positions) {
  test::expect_searches({
      {"\\bfoo\\b", "a foo b", {"foo"}},
      {"\\bfoo\\b", "afoo", kNoMatch},
      {"\\bfoo\\b", "foo", {"foo"}},
      {"\\bfoo\\b", "foo_", kNoMatch},
      {"\\Boo", "foo", {"oo"}},
      {"\\Boo", "oo", kNoMatch},
      {"\\Aa", "a", {"a"}},
      {"\\Aa", "ba", kNoMatch},
      {"\\Aa", "\na", kNoMatch},
      {"a\\Z", "a", {"a"}},
      {"a\\Z", "a\n", kNoMatch},
      {"a\\Z", "ab", kNoMatch},
      {"a$", "a", {"a"}},
      {"a$", "a\n", {"a"}},
      {"a$", "a\n\n", kNoMatch},
      {"(?m)^b$", "a\nb\nc", {"b"}},
      {"(?m)a$", "a\nb", {"a"}},
      {"^", "", {""}},
      {"\\b", "", kNoMatch},
      {"\\b", "\303\251", {""}},
      {"\\B", "", kNoMatch},
      {"\\B", "\303\251", kNoMatch},
  });
}

TEST(PythonRegexEscapes, Characters) {
  test::expect_searches({
      {"\\x41", "A", {"A"}},
      {"\\u0041\\U00000042", "AB", {"AB"}},
      {"\\U0001f917", "\360\237\244\227", {"\360\237\244\227"}},
      {"\\t\\n\\r\\f\\v\\a", "\011\n\015\014\013\007", {"\011\n\015\014\013\007"}},
      {"\\0", "\000"sv, {"\000"sv}},
      {"\\07", "\007", {"\007"}},
      {"\\012", "\n", {"\n"}},
      {"\\101", "A", {"A"}},
      {"\\377", "\303\277", {"\303\277"}},
      {"\\08", "\0008"sv, {"\0008"sv}},
      {"\\.\\*\\?\\+\\(\\)\\[\\]\\{\\}\\|\\^\\$\\\\", ".*?+()[]{}|^$\\", {".*?+()[]{}|^$\\"}},
      {"\\-\\ \\#\\&\\~\\%\\/\\:\\@\\!\\'\\\"\\,\\;\\=\\<\\>\\`\\_",
       "- #&~%/:@!'\",;=<>`_",
       {"- #&~%/:@!'\",;=<>`_"}},
      {"\\\303\251", "\303\251", {"\303\251"}},
  });
}

TEST(PythonRegexEscapes, BadCharactersRefuseWhatPythonRefuses) {
  test::expect_refusals(
      {"\\x", "\\x4",  "\\xg1",   "\\u004", "\\U0000004", "\\U00110000", "\\400",   "\\777",
       "\\q", "\\z",   "\\y",     "\\p{L}", "\\h",        "\\R",         "\\X",     "\\K",
       "\\G", "\\E",   "\\Qa\\E", "\\c",    "\\e",        "\\o{7}",      "\\g1",    "\\k<a>",
       "\\",  "[\\A]", "[\\Z]",   "[\\B]",  "[\\q]",      "[\\x4]",      "[\\400]", "[\\8]"});
}

TEST(PythonRegexEscapes, Classes) {
  test::expect_searches({
      {"[abc]+", "xbcay", {"bca"}},
      {"[^abc]+", "axyb", {"xy"}},
      {"[a-c]+", "xbd", {"b"}},
      {"[]a]+", "a]", {"a]"}},
      {"[^]a]+", "a]b", {"b"}},
      {"[a\\]]+", "]a", {"]a"}},
      {"[a-]+", "-a", {"-a"}},
      {"[-a]+", "a-", {"a-"}},
      {"[\\w.]+", "a.b-", {"a.b"}},
      {"[\\d-]+", "1-2", {"1-2"}},
      {"[^\\W\\d]+", "1ab_2", {"ab_"}},
      {"[\\b]", "\010", {"\010"}},
      {"[\\b]", "b", kNoMatch},
      {"[\\x41-\\x43]+", "ABCD", {"ABC"}},
      {"[\\101]", "A", {"A"}},
      {"[\\1]", "\001", {"\001"}},
      {"[\\07]", "\007", {"\007"}},
      {"[+--]+", "+,-.", {"+,-"}},
      {"[[a]+", "[a", {"[a"}},
      {"[[:alpha:]]", "a]", {"a]"}},
      {"[[:alpha:]]", "[]", {"[]"}},
      {"[[:alpha:]]", ":]", {":]"}},
      {"[a&&b]+", "&ab", {"&ab"}},
      {"[a||b]+", "|", {"|"}},
      {"[^\\S\\n]", "\n", kNoMatch},
      {"[^\\S\\n]", " ", {" "}},
      {"[\\s\\S]", "\n", {"\n"}},
      {"[\303\251-\303\274]+", "a\303\266b", {"\303\266"}},
      {"[.*+?(){}|$^]+", ".*+?(){}|$^", {".*+?(){}|$^"}},
      {"[^^]", "^a", {"a"}},
      {"(?i)[a-c]+", "ABCD", {"ABC"}},
      {"(?i)[^a]", "A", kNoMatch},
      {"(?i)[^a]", "b", {"b"}},
  });
}

TEST(PythonRegexEscapes, ClassesRefuseWhatPythonRefuses) { test::expect_refusals({"[a--b]"}); }

TEST(PythonRegexEscapes, BadClassesRefuseWhatPythonRefuses) {
  test::expect_refusals(
      {"[", "[]", "[^]", "[a", "[z-a]", "[\\d-a]", "[a-\\d]", "[b-a]", "[a\\]", "[a--b-a]"});
}

TEST(PythonRegexEscapes, BackReferences) {
  test::expect_searches({
      {"(a|b)\\1", "ab", kNoMatch},
      {"(a|b)\\1", "bb", {"bb", "b"}},
      {"(?P<x>.)(?P=x)", "abb", {"bb", "b"}},
      {"(a)(b)\\2\\1", "abba", {"abba", "a", "b"}},
      {"(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)\\10",
       "abcdefghijj",
       {"abcdefghijj", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}},
      {"(a)?\\1", "b", kNoMatch},
      {"(a)?\\1", "aa", {"aa", "a"}},
      {"(?:(a)|b)\\1", "b", kNoMatch},
      {"(?:(a)|b)\\1", "aa", {"aa", "a"}},
  });
}

TEST(PythonRegexEscapes, BadBackReferencesRefuseWhatPythonRefuses) {
  test::expect_refusals({"\\1", "(a)\\2", "(a\\1)", "(?P=x)", "(?P<x>a(?P=x))", "\\8", "\\9",
                         "\\10", "\\18", "\\99"});
}

// No counterpart, or one of another meaning: refused rather than guessed.
TEST(PythonRegexEscapes, NamedCharactersAndSurrogatesAreUnsupported) {
  test::expect_unsupported({R"(\N{BULLET})", R"([\N{BULLET}])", R"(\ud800)", R"([\udfff])"});
}

}  // namespace
}  // namespace ferrule::regex
