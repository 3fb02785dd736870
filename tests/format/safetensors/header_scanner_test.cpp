// SPDX-License-Identifier: Apache-2.0
#include "format/safetensors/header_scanner.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace ferrule::format {
namespace {

using namespace std::string_view_literals;

TEST(HeaderScanner, SkipsTheFourSpacesOfJsonOnly) {
  HeaderScanner scanner(" \t\r\n{"sv);
  EXPECT_EQ(scanner.peek(), '{');
  EXPECT_EQ(scanner.offset(), 4U);
  EXPECT_EQ(HeaderScanner("\f{").peek(), '\f');
  EXPECT_EQ(HeaderScanner("\v{").peek(), '\v');
}

TEST(HeaderScanner, TakesATokenWhereItComesNext) {
  HeaderScanner scanner("  {x");
  EXPECT_FALSE(scanner.take('}'));
  EXPECT_TRUE(scanner.take('{'));
  EXPECT_EQ(scanner.offset(), 3U);
  EXPECT_FALSE(scanner.failed());
}

TEST(HeaderScanner, TakesAWordWhereItComesNext) {
  HeaderScanner scanner(" nulx");
  EXPECT_FALSE(scanner.take_word("null"));
  EXPECT_TRUE(scanner.take_word("nul"));
  EXPECT_FALSE(scanner.take_word("xy"));
  EXPECT_TRUE(scanner.take_word("x"));
  EXPECT_EQ(scanner.at(), scanner.end());
}

TEST(HeaderScanner, ANulAtTheEndIsNotTheEnd) {
  HeaderScanner empty("");
  EXPECT_FALSE(empty.take('\0'));
  HeaderScanner nul("\0"sv);
  EXPECT_FALSE(nul.expect('}', "here"));
  EXPECT_EQ(nul.error().message, "expected '}' here, found \"\\u0000\" at header byte 0");
}

TEST(HeaderScanner, AFailureSaysWhatWasExpectedAndFound) {
  HeaderScanner scanner("{]");
  ASSERT_TRUE(scanner.take('{'));
  EXPECT_FALSE(scanner.expect('}', "after the last entry"));
  EXPECT_TRUE(scanner.failed());
  EXPECT_EQ(scanner.error().rule, "ST-4");
  EXPECT_EQ(scanner.error().message,
            "expected '}' after the last entry, found \"]\" at header byte 1");
}

TEST(HeaderScanner, TheFirstFailureIsKept) {
  HeaderScanner scanner("");
  EXPECT_FALSE(scanner.refuse("ST-1", "first"));
  EXPECT_FALSE(scanner.refuse("ST-2", "second"));
  EXPECT_EQ(scanner.error().message, "first");
}

struct Text {
  std::string_view json;
  std::string_view raw;
  bool escaped;
  std::string_view meaning;
};

TEST(HeaderScanner, ReadsStringsAndUnescapesThem) {
  // Longer and shorter than the 16 bytes that are looked at in one step.
  const Text rows[] = {
      {R"("")", "", false, ""},
      {R"("lora_A.weight")", "lora_A.weight", false, "lora_A.weight"},
      {R"("0123456789abcdef")", "0123456789abcdef", false, "0123456789abcdef"},
      {R"("0123456789abcdef0")", "0123456789abcdef0", false, "0123456789abcdef0"},
      {"\"0123456789abcd\xc3\xa9 0123456789abcd\"", "0123456789abcd\xc3\xa9 0123456789abcd", false,
       "0123456789abcd\xc3\xa9 0123456789abcd"},
      {"\"\x7f\"", "\x7f", false, "\x7f"},
      {R"("\"\\\/\b\f\n\r\t")", R"(\"\\\/\b\f\n\r\t)", true, "\"\\/\b\f\n\r\t"},
      {R"("\u0041\u00E9\u20ac")", R"(\u0041\u00E9\u20ac)", true, "A\u00e9\u20ac"},
      {R"("\ud83e\udd17")", R"(\ud83e\udd17)", true, "\U0001f917"},
      {R"("\udbff\uDFFF")", R"(\udbff\uDFFF)", true, "\U0010ffff"},
      {R"("\u0000")", R"(\u0000)", true, "\0"sv},
  };
  for (const auto& row : rows) {
    HeaderScanner scanner(row.json);
    std::string_view raw;
    bool escaped = false;
    ASSERT_TRUE(scanner.string(raw, escaped, "a name")) << row.json;
    EXPECT_EQ(raw, row.raw);
    EXPECT_EQ(escaped, row.escaped) << row.json;
    EXPECT_EQ(unescape(raw), row.meaning);
    EXPECT_EQ(scanner.at(), scanner.end()) << row.json;
  }
}

struct Refusal {
  std::string_view json;
  const char* rule;
};

TEST(HeaderScanner, RefusesStringsThatSerdeRefuses) {
  const Refusal rows[] = {
      {"x", "ST-4"},
      {"", "ST-4"},
      {R"("open)", "ST-4"},
      {R"("0123456789abcdef open)", "ST-4"},
      {R"("\)", "ST-4"},
      {R"("\x41")", "ST-4"},
      {R"("\'")", "ST-4"},
      {R"("\u12")", "ST-4"},
      {R"("\u12G4")", "ST-4"},
      {R"("\ud83e\u12")", "ST-4"},
      {R"("\ud83e")", "ST-5"},
      {R"("\udd17")", "ST-5"},
      {R"("\ud83e\ud83e")", "ST-5"},
      {R"("\ud83e\n")", "ST-5"},
      {"\"a\nb\"", "ST-5"},
      {"\"0123456789abcdef\x1f\"", "ST-5"},
      {"\"\0\""sv, "ST-5"},
      {"\"\xff\"", "ST-5"},
      {"\"\xc0\x80\"", "ST-5"},
      {"\"\xed\xa0\x80\"", "ST-5"},
      {"\"\xe2\x82\"", "ST-5"},
  };
  for (const auto& row : rows) {
    HeaderScanner scanner(row.json);
    std::string_view raw;
    bool escaped = false;
    EXPECT_FALSE(scanner.string(raw, escaped, "a name")) << row.json;
    EXPECT_EQ(scanner.error().rule, row.rule) << row.json << ": " << scanner.error().message;
  }
}

TEST(HeaderScanner, ReadsIntegersUpTo64Bits) {
  struct Row {
    std::string_view json;
    std::uint64_t value;
  };
  for (const auto& row :
       {Row{"0", 0}, Row{" 7]", 7}, Row{"18446744073709551615,", UINT64_MAX}, Row{"10}", 10}}) {
    HeaderScanner scanner(row.json);
    std::uint64_t value = 1;
    ASSERT_TRUE(scanner.integer(value, "an extent of ", "w")) << row.json;
    EXPECT_EQ(value, row.value);
  }
}

TEST(HeaderScanner, RefusesOtherNumbers) {
  for (const std::string_view json :
       {"", "-1", "+1", "-0", "01", "00", "1.0", "1e3", "1E3", "18446744073709551616",
        "99999999999999999999999", ".5", "x", "true", "\"1\"", "null"}) {
    HeaderScanner scanner(json);
    std::uint64_t value = 0;
    EXPECT_FALSE(scanner.integer(value, "an extent of ", "w")) << json;
    EXPECT_EQ(scanner.error().rule, "ST-8") << json;
  }
}

}  // namespace
}  // namespace ferrule::format
