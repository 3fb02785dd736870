// SPDX-License-Identifier: Apache-2.0
#include "format/pickle/pickle_text.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace ferrule::format {
namespace {

using namespace std::string_literals;

// The values are those of Python's pickle.loads(encoding="latin-1"); nullopt where it raises.

TEST(PickleText, ReadsDecimalsAsPythonDoes) {
  const struct {
    std::string_view line;
    std::optional<std::int64_t> value;
  } rows[] = {
      {"12", 12},
      {"-12", -12},
      {"+12", 12},
      {"007", 7},
      {"9223372036854775807", INT64_MAX},
      {"-9223372036854775808", INT64_MIN},
      {"+-1", std::nullopt},
      {"-+1", std::nullopt},
      {"--1", std::nullopt},
      {"-", std::nullopt},
      {"", std::nullopt},
      {"1.0", std::nullopt},
      {"1L", std::nullopt},
      {"x", std::nullopt},
      // Python reads these as well; they do not fit 64 bits.
      {"9223372036854775808", std::nullopt},
      {"-9223372036854775809", std::nullopt},
      // Nothing writes these, though Python would read them.
      {"0x10", std::nullopt},
      {"1_0", std::nullopt},
      {" 1", std::nullopt},
  };
  for (const auto& row : rows) EXPECT_EQ(parse_decimal(row.line), row.value) << row.line;
}

TEST(PickleText, ReadsFloatsAsPythonDoes) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const struct {
    std::string_view line;
    std::optional<double> value;
  } rows[] = {
      {"1.5", 1.5},
      {"-0.0", -0.0},
      {"1e-07", 1e-7},
      {"1.7976931348623157e+308", 1.7976931348623157e308},
      {"5e-324", 5e-324},
      {"inf", kInfinity},
      {"-inf", -kInfinity},
      {"1e400", std::nullopt},
      {"", std::nullopt},
      {"0x1p3", std::nullopt},
      {"1.5x", std::nullopt},
      {" 1.5", std::nullopt},
      {"1_0.0", std::nullopt},
  };
  for (const auto& row : rows) EXPECT_EQ(parse_float(row.line), row.value) << row.line;
  EXPECT_TRUE(std::isnan(parse_float("nan").value()));
}

TEST(PickleText, ReadsStringLiteralsAsPythonDoes) {
  const struct {
    std::string_view line;
    std::optional<std::string> value;
  } rows[] = {
      {R"('')", ""},
      {R"("")", ""},
      {R"('a')", "a"},
      {R"("a")", "a"},
      {R"('a'b')", "a'b"},
      {R"('\x41')", "A"},
      {R"('\101\60\7')", "A0\7"},
      {R"('\1011')", "A1"},
      {R"('\400')", "\0"s},
      {R"('\477')", "?"},
      {R"('\8')", R"(\8)"},
      {R"('\a\b\f\n\r\t\v\\\'\"')", "\a\b\f\n\r\t\v\\'\""},
      {R"('\q')", R"(\q)"},
      {R"('\u0041')", R"(\u0041)"},
      {"'\xe9'", "\xe9"},
      {R"('\x41\x4')", std::nullopt},
      {R"('\xg1')", std::nullopt},
      {R"('\')", std::nullopt},
      {R"('a")", std::nullopt},
      {R"(')", std::nullopt},
      {R"('a)", std::nullopt},
      {R"(a)", std::nullopt},
      {R"( 'a')", std::nullopt},
      {"", std::nullopt},
  };
  for (const auto& row : rows) EXPECT_EQ(parse_string_literal(row.line), row.value) << row.line;
}

TEST(PickleText, ReadsUnicodeLinesAsPythonDoes) {
  const struct {
    std::string_view line;
    std::optional<std::string> value;
  } rows[] = {
      {"", ""},
      {"a", "a"},
      {R"(\u00e9)", "\u00e9"},
      {"\xe9", "\u00e9"},
      {R"(\U0001f600)", "\U0001f600"},
      {R"(\U0010ffff)", "\U0010ffff"},
      {R"(\u005cu0041)", R"(\u0041)"},
      {R"(\x41)", R"(\x41)"},
      {R"(\\)", R"(\\)"},
      {R"(\n)", R"(\n)"},
      {R"(\)", R"(\)"},
      {R"(\u12)", std::nullopt},
      {R"(\u12g4)", std::nullopt},
      {R"(\U00110000)", std::nullopt},
      // Python makes surrogates of these; UTF-8 has none.
      {R"(\ud800)", std::nullopt},
      {R"(\ud83d\ude00)", std::nullopt},
  };
  for (const auto& row : rows) EXPECT_EQ(parse_unicode_line(row.line), row.value) << row.line;
}

}  // namespace
}  // namespace ferrule::format
