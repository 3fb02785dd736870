// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/utf8.hpp"
#include "ferrule/text.hpp"

namespace ferrule {
namespace {

using namespace std::string_view_literals;

struct Row {
  std::string_view text;
  std::string_view quoted;
  std::string_view printed;
};

TEST(Quote, EscapesWhatATerminalWouldObey) {
  const Row rows[] = {
      {"", R"("")", ""},
      {"base_model.model.lora_A.weight", R"("base_model.model.lora_A.weight")",
       "base_model.model.lora_A.weight"},
      {"größe 模型 🤗", R"("größe 模型 🤗")", "größe 模型 🤗"},
      {R"(a"b\c)", R"("a\"b\\c")", R"(a"b\c)"},
      {"a\nb\tc", R"("a\nb\tc")", R"(a\nb\tc)"},
      {"a\r\b", R"("a\u000d\u0008")", R"(a\u000d\u0008)"},
      {"\x1b[2J", R"("\u001b[2J")", R"(\u001b[2J)"},
      {"a\0b"sv, R"("a\u0000b")", R"(a\u0000b)"},
      {"\x7f", R"("\u007f")", R"(\u007f)"},
      {"\xc2\x9b", R"("\u009b")", R"(\u009b)"},                  // CSI in one code point
      {"\xe2\x80\xae", R"("\u202e")", R"(\u202e)"},              // right-to-left override
      {"\xe2\x81\xa6", R"("\u2066")", R"(\u2066)"},              // left-to-right isolate
      {"a\xc2\xa0z", R"("a\u00a0z")", R"(a\u00a0z)"},            // no-break space
      {"a\xe2\x80\x8bz", R"("a\u200bz")", R"(a\u200bz)"},        // zero-width space
      {"\xe2\x80\xa8", R"("\u2028")", R"(\u2028)"},              // line separator
      {"\xef\xbb\xbf", R"("\ufeff")", R"(\ufeff)"},              // byte order mark
      {"\xf3\xa0\x81\x81", R"("\U000e0041")", R"(\U000e0041)"},  // tag letter
      {"a\xff\xc3", R"("a\xff\xc3")", R"(a\xff\xc3)"},
      {"\xed\xa0\x80", R"("\xed\xa0\x80")", R"(\xed\xa0\x80)"},  // surrogate
  };
  for (const auto& row : rows) {
    EXPECT_EQ(quote(row.text), row.quoted);
    EXPECT_EQ(printable(row.text), row.printed);
  }
}

TEST(Quote, EscapesEveryDefaultIgnorableCodePoint) {
  struct Range {
    char32_t first;
    char32_t last;
  };
  // Unicode 15.1, DerivedCoreProperties.txt, Default_Ignorable_Code_Point.
  const Range ranges[] = {
      {0xad, 0xad},       {0x34f, 0x34f},    {0x61c, 0x61c},   {0x115f, 0x1160}, {0x17b4, 0x17b5},
      {0x180b, 0x180f},   {0x200b, 0x200f},  {0x202a, 0x202e}, {0x2060, 0x206f}, {0x3164, 0x3164},
      {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},  {0xffa0, 0xffa0}, {0xfff0, 0xfff8}, {0x1bca0, 0x1bca3},
      {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff}};
  for (const auto& range : ranges) {
    for (auto point = range.first; point <= range.last; ++point) {
      std::string text;
      base::append_utf8(text, point);
      ASSERT_EQ(quote(text).substr(0, 2), "\"\\") << std::hex << std::uint32_t{point};
    }
  }
}

TEST(Quote, CutsAfterTheLimitAndNeverInsideACharacter) {
  EXPECT_EQ(quote("abcdef", 6), R"("abcdef")");
  EXPECT_EQ(quote("abcdef", 5), R"("abcde...")");
  EXPECT_EQ(quote("abcdef", 0), R"("...")");
  EXPECT_EQ(quote("", 0), R"("")");
  EXPECT_EQ(quote("🤗🤗", 1), R"("🤗...")");
  EXPECT_EQ(printable("abc", 2), "ab...");
  EXPECT_EQ(quote(std::string(1000, 'x')).size(), 205U);
}

}  // namespace
}  // namespace ferrule
