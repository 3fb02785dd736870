// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "regex/regex_rows.hpp"

namespace ferrule::regex {
namespace {

using std::string_view_literals::operator""sv;
using test::kNoMatch;
using test::kUnset;

TEST(PythonRegex, Repeats) {
  test::expect_searches({
      {"a*", "aab", {"aa"}},         {"a*", "b", {""}},           {"a+", "b", kNoMatch},
      {"a+", "aab", {"aa"}},         {"a??b", "ab", {"ab"}},      {"a{2}", "a", kNoMatch},
      {"a{2}", "aaa", {"aa"}},       {"a{2,}", "aaaa", {"aaaa"}}, {"a{,2}", "aaa", {"aa"}},
      {"a{1,2}?", "aa", {"a"}},      {"a{0}b", "ab", {"b"}},      {"a{}", "a{}", {"a{}"}},
      {"a{", "a{", {"a{"}},          {"a{1", "a{1", {"a{1"}},     {"a{1,", "a{1,", {"a{1,"}},
      {"a{,}", "aaa", {"aaa"}},      {"a{,}", "a{,}", {"a"}},     {"a{x}", "a{x}", {"a{x}"}},
      {"a{ 1}", "a{ 1}", {"a{ 1}"}}, {"{", "{", {"{"}},           {"x{1}{", "x{", {"x{"}},
      {"a{1,2", "a{1,2", {"a{1,2"}}, {"(?:)*", "a", {""}},        {"(?:a|b)+", "abab", {"abab"}},
      {"(?:a*)+", "aa", {"aa"}},
  });
}

TEST(PythonRegex, BadRepeatsRefuseWhatPythonRefuses) {
  test::expect_refusals({"*", "+a", "?", "a**", "a+*", "a{1}{2}", "a{2,1}", "a*{2}", "(*a)",
                         "(?:*)", "|*", "^*", "$*", "\\b+", "(?:a|*b)", "a???", "a{1}**", "{1}",
                         "(?i)*"});
}

TEST(PythonRegex, Alternatives) {
  test::expect_searches({
      {"a|b", "b", {"b"}},
      {"|a", "a", {""}},
      {"a|", "b", {""}},
      {"ab|a", "ab", {"ab"}},
      {"a|ab", "ab", {"a"}},
      {"^a|b$", "cb", {"b"}},
      {"^a|b$", "ac", {"a"}},
  });
}

TEST(PythonRegex, PeftPatterns) {
  test::expect_searches({
      {".*\\.(q|v)_proj", "model.layers.0.q_proj", {"model.layers.0.q_proj", "q"}},
      {".*\\.(q|v)_proj", "q_proj", kNoMatch},
      {"model\\.layers\\.(\\d+)\\.(?:mlp|self_attn)",
       "model.layers.12.mlp.up",
       {"model.layers.12.mlp", "12"}},
      {"(?!.*\\.visual).*(?:q|k)_proj$", "a.visual.q_proj", {"visual.q_proj"}},
      {"(?!.*\\.visual).*(?:q|k)_proj$", "a.k_proj", {"a.k_proj"}},
      {"layers\\.([0-9]|1[0-5])\\.", "layers.12.x", {"layers.12.", "12"}},
      {"layers\\.([0-9]|1[0-5])\\.", "layers.16.x", kNoMatch},
  });
}

TEST(PythonRegex, PatternsThatAreNotUtf8AreRefused) {
  test::expect_refusals({"\xff", "a\xc3", "[\xed\xa0\x80]"});
}

TEST(PythonRegex, WhatTheEngineCannotCountIsUnsupported) {
  test::expect_unsupported({"a{65536}", "(?:ab){70000,}"});
  const std::string nested = std::string(101, '(') + std::string(101, ')');
  test::expect_unsupported({nested});
}

}  // namespace
}  // namespace ferrule::regex
