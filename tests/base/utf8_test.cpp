// SPDX-License-Identifier: Apache-2.0
#include "base/utf8.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace ferrule::base {
namespace {

using namespace std::string_view_literals;

/// The first and last code point of each length, and both sides of the gaps (Unicode 15, table
/// 3-6).
struct Valid {
  std::string_view bytes;
  char32_t value;
};

constexpr Valid kValid[] = {
    {"\0"sv, 0},
    {"\x7f", 0x7f},
    {"\xc2\x80", 0x80},
    {"\xdf\xbf", 0x7ff},
    {"\xe0\xa0\x80", 0x800},
    {"\xed\x9f\xbf", 0xd7ff},
    {"\xee\x80\x80", 0xe000},
    {"\xef\xbf\xbf", 0xffff},
    {"\xf0\x90\x80\x80", 0x10000},
    {"\xf4\x8f\xbf\xbf", 0x10ffff},
    {"\xe2\x82\xac", U'€'},
    {"\xf0\x9f\xa4\x97", U'🤗'},
};

TEST(Utf8, DecodesTheEndsOfEveryRange) {
  for (const auto& row : kValid) {
    const auto point = decode_utf8(row.bytes);
    ASSERT_TRUE(point) << std::hex << std::uint32_t{row.value};
    EXPECT_EQ(point->value, row.value);
    EXPECT_EQ(point->bytes, row.bytes.size());
    EXPECT_TRUE(is_utf8(row.bytes)) << std::hex << std::uint32_t{row.value};
  }
}

TEST(Utf8, AppendsTheEndsOfEveryRange) {
  for (const auto& row : kValid) {
    std::string out = "x";
    append_utf8(out, row.value);
    EXPECT_EQ(out, "x" + std::string(row.bytes)) << std::hex << std::uint32_t{row.value};
  }
}

TEST(Utf8, DecodesTheFirstCodePointOnly) {
  const auto point = decode_utf8("é\xff");
  ASSERT_TRUE(point);
  EXPECT_EQ(point->value, U'é');
  EXPECT_EQ(point->bytes, 2U);
}

struct Invalid {
  const char* name;
  std::string_view bytes;
};
void PrintTo(const Invalid& row, std::ostream* out) { *out << row.name; }

class InvalidUtf8 : public testing::TestWithParam<Invalid> {};

TEST_P(InvalidUtf8, IsRefused) {
  EXPECT_FALSE(decode_utf8(GetParam().bytes));
  EXPECT_FALSE(is_utf8(GetParam().bytes));
  EXPECT_FALSE(is_utf8("before" + std::string(GetParam().bytes)));
}

// Python's bytes.decode("utf-8") refuses each of them.
INSTANTIATE_TEST_SUITE_P(
    Utf8, InvalidUtf8,
    testing::ValuesIn(std::vector<Invalid>{{"LoneContinuation", "\x80"},
                                           {"OverlongSlash2", "\xc0\xaf"},
                                           {"OverlongNull2", "\xc0\x80"},
                                           {"OverlongDelete2", "\xc1\xbf"},
                                           {"Overlong3", "\xe0\x9f\xbf"},
                                           {"Overlong4", "\xf0\x8f\xbf\xbf"},
                                           {"FirstSurrogate", "\xed\xa0\x80"},
                                           {"LastSurrogate", "\xed\xbf\xbf"},
                                           {"AboveUnicode", "\xf4\x90\x80\x80"},
                                           {"LeadF5", "\xf5\x80\x80\x80"},
                                           {"FiveBytes", "\xf8\x88\x80\x80\x80"},
                                           {"ByteFe", "\xfe"},
                                           {"ByteFf", "\xff"},
                                           {"Cut2", "\xc2"},
                                           {"Cut3", "\xe2\x82"},
                                           {"Cut4", "\xf0\x9f\xa4"},
                                           {"LeadThenAscii", "\xc2x"},
                                           {"LeadThenLead", "\xe2\x82\xe2"}}),
    [](const testing::TestParamInfo<Invalid>& row) { return std::string(row.param.name); });

TEST(Utf8, EmptyTextIsValidAndHasNoCodePoint) {
  EXPECT_TRUE(is_utf8(""));
  EXPECT_FALSE(decode_utf8(""));
}

TEST(Utf8, EveryScalarValueComesBack) {
  for (char32_t value = 0; value <= 0x10ffff; ++value) {
    if (value == 0xd800) value = 0xe000;
    std::string out;
    append_utf8(out, value);
    const auto point = decode_utf8(out);
    ASSERT_TRUE(point && point->value == value && point->bytes == out.size())
        << std::hex << std::uint32_t{value};
  }
}

}  // namespace
}  // namespace ferrule::base
