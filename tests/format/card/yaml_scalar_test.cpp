// SPDX-License-Identifier: Apache-2.0
#include "format/card/yaml_scalar.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace ferrule::format {
namespace {

using std::string_view_literals::operator""sv;
using Strings = std::vector<std::string>;

TEST(YamlScalar, IsQuotedWherePyYamlQuotes) {
  struct Case {
    std::string_view text;
    std::string_view dumped;
  };
  const Case cases[] = {
      {"toy/base", "toy/base"},
      {"base_model:adapter:toy/base", "base_model:adapter:toy/base"},
      {"", "''"},
      {"null", "'null'"},
      {"~", "'~'"},
      {"on", "'on'"},
      {"No", "'No'"},
      {"nO", "nO"},
      {"123", "'123'"},
      {"1_000", "'1_000'"},
      {"0x1F", "'0x1F'"},
      {"0o17", "0o17"},
      {"017", "'017'"},
      {"089", "089"},
      {"1.5", "'1.5'"},
      {"1e5", "1e5"},
      {"1.e+5", "'1.e+5'"},
      {".5", "'.5'"},
      {"+.5", "+.5"},
      {".inf", "'.inf'"},
      {"190:20:30", "'190:20:30'"},
      {"190:60", "190:60"},
      {"2024-01-02", "'2024-01-02'"},
      {"2024-1-2 3:04:05 +1", "'2024-1-2 3:04:05 +1'"},
      {"a: b", "'a: b'"},
      {"a #b", "'a #b'"},
      {"a#b", "a#b"},
      {"- a", "'- a'"},
      {"-a", "-a"},
      {"?a", "?a"},
      {"[a]", "'[a]'"},
      {"it's", "it's"},
      {"'a'", "'''a'''"},
      {" a", "' a'"},
      {"a\tb", "\"a\\tb\""},
      {"\xc3\xa9t\xc3\xa9", "\xc3\xa9t\xc3\xa9"},
      {"\xf0\x9f\x91\x80", "\xf0\x9f\x91\x80"},
      {"a\x07", "\"a\\a\""},
      {"a\nb", "'a\n\n  b'"},
      {"---", "'---'"},
  };
  for (const Case& c : cases) EXPECT_EQ(dump_yaml_scalar(c.text, 2, "\n"), c.dumped) << c.text;
}

TEST(YamlScalar, FoldsAfterColumnEighty) {
  const std::string word(50, 'a');
  EXPECT_EQ(dump_yaml_entry("tags", Strings{word + " " + word + " c"}, "\r\n"),
            "tags:\r\n- " + word + " " + word + "\r\n  c");
}

TEST(YamlEntries, OfAnEmptyListAreInBrackets) {
  EXPECT_EQ(dump_yaml_entry("tags", Strings{}, "\n"), "tags: []");
  EXPECT_EQ(dump_yaml_entry("tags", Strings{"a", "on", ""}, "\n"), "tags:\n- a\n- 'on'\n- ''");
}

// `yaml.dump([text], allow_unicode=True)` of PyYAML 6.0.4, behind the dash.
TEST(YamlScalar, IsFoldedAndEscapedAsPyYamlDoes) {
  const struct {
    std::string_view text;
    std::string_view dumped;
  } rows[] = {
      {"it's word word word word word word word word word word word word word word word word word "
       "word word word end",
       "it's word word word word word word word word word word word word word word word\n  word "
       "word word word word end"},
      {"- word word word word word word word word word word word word word word word word word "
       "word word word end",
       "'- word word word word word word word word word word word word word word word word\n  word "
       "word word word end'"},
      {"tab\tword word word word word word word word word word word word word word word word word "
       "word end",
       "\"tab\\tword word word word word word word word word word word word word word word\\\n  \\ "
       "word word word end\""},
      {"a  b", "a  b"},
      {" lead", "' lead'"},
      {"trail ", "'trail '"},
      {"a\n\nb", "'a\n\n\n  b'"},
      {"a\n b", "\"a\\n b\""},
      {"\n", "'\n\n  '"},
      {"a\n", "'a\n\n  '"},
      {"\342\200\250x", "'\342\200\250  x'"},
      {"a\302\205b", "'a\302\205  b'"},
      {"\357\273\277x", "\"\\uFEFFx\""},
      {"\000"sv, "\"\\0\""},
      {"\177", "\"\\x7F\""},
      {"\"", "'\"'"},
      {"\\", "\\"},
      {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
       "aaaaaaaaa",
       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
       "aaaaaaaaa"},
      {"x "
       "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy",
       "x "
       "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
       "y"},
      {"\303\251 \303\251 \303\251 \303\251 \303\251 \303\251 \303\251 \303\251 \303\251 \303\251 "
       "\303\251 \303\251 \303\251 \303\251 \303\251 \303\251 \303\251 \303\251 \303\251 \303\251 "
       "\303\251 \303\251 \303\251 \303\251 \303\251 \303\251 \303\251 \303\251 \303\251 \303\251 "
       "\303\251 \303\251 \303\251 \303\251 \303\251 \303\251 \303\251 \303\251 \303\251 \303\251 "
       "\303\251 \303\251 \303\251 \303\251 \303\251 ",
       "'\303\251 \303\251 \303\251 \303\251 \303\251 \303\251 \303\251 \303\251 \303\251 \303\251 "
       "\303\251 \303\251 \303\251 \303\251 \303\251 \303\251 \303\251 \303\251 \303\251 \303\251 "
       "\303\251 \303\251 \303\251 \303\251 \303\251 \303\251 \303\251 \303\251 \303\251 \303\251 "
       "\303\251 \303\251 \303\251 \303\251 \303\251 \303\251 \303\251 \303\251 \303\251 "
       "\303\251\n  \303\251 \303\251 \303\251 \303\251 \303\251 '"},
      {"\360\237\244\227 \360\237\244\227 \360\237\244\227 \360\237\244\227 \360\237\244\227 "
       "\360\237\244\227 \360\237\244\227 \360\237\244\227 \360\237\244\227 \360\237\244\227 "
       "\360\237\244\227 \360\237\244\227 \360\237\244\227 \360\237\244\227 \360\237\244\227 "
       "\360\237\244\227 \360\237\244\227 \360\237\244\227 \360\237\244\227 \360\237\244\227 "
       "\360\237\244\227 \360\237\244\227 \360\237\244\227 \360\237\244\227 \360\237\244\227 "
       "\360\237\244\227 \360\237\244\227 \360\237\244\227 \360\237\244\227 \360\237\244\227 ",
       "'\360\237\244\227 \360\237\244\227 \360\237\244\227 \360\237\244\227 \360\237\244\227 "
       "\360\237\244\227 \360\237\244\227 \360\237\244\227 \360\237\244\227 \360\237\244\227 "
       "\360\237\244\227 \360\237\244\227 \360\237\244\227 \360\237\244\227 \360\237\244\227 "
       "\360\237\244\227 \360\237\244\227 \360\237\244\227 \360\237\244\227 \360\237\244\227 "
       "\360\237\244\227 \360\237\244\227 \360\237\244\227 \360\237\244\227 \360\237\244\227 "
       "\360\237\244\227 \360\237\244\227 \360\237\244\227 \360\237\244\227 \360\237\244\227 '"},
      {"''", "''''''"},
      {"%x", "'%x'"},
      {"@x", "'@x'"},
      {"`x", "'`x'"},
      {"a:", "'a:'"},
      {":a", ":a"},
      {"a :b", "a :b"},
      {"#a", "'#a'"},
      {"? ", "'? '"},
      {"\364\217\277\277", "\"\\U0010FFFF\""},
      {"\356\200\200", "\356\200\200"},
      {"\357\277\276", "\"\\uFFFE\""},
      {"a\015b", "\"a\\rb\""},
      {"\033", "\"\\e\""},
      {"\302\240x", "\302\240x"},
      {"k: \"v\"", "'k: \"v\"'"},
      {"\tab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab "
       "ab ab ab ab ab ab ab ab ab ab ab ",
       "\"\\tab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab\\\n  \\ "
       "ab ab ab ab ab ab ab ab ab ab ab ab ab ab \""},
  };
  for (const auto& row : rows)
    EXPECT_EQ(dump_yaml_scalar(row.text, 2, "\n"), row.dumped) << row.text;
}
}  // namespace
}  // namespace ferrule::format
