// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "ferrule/json.hpp"

namespace ferrule {
namespace {

Json parsed(std::string_view text) {
  auto json = Json::parse(text, {.allow_nan = true});
  EXPECT_TRUE(json) << text << ": " << (json ? "" : json.error().to_string());
  return json ? *json : Json();
}

TEST(JsonDump, FloatsAsPythonPrintsThem) {
  const struct {
    double value;
    std::string_view text;
  } cases[] = {{0.0, "0.0"},
               {-0.0, "-0.0"},
               {1.0, "1.0"},
               {0.1, "0.1"},
               {1e-4, "0.0001"},
               {1e-5, "1e-05"},
               {6e-05, "6e-05"},
               {1.5e-7, "1.5e-07"},
               {123456789.125, "123456789.125"},
               {1e15, "1000000000000000.0"},
               {1e16, "1e+16"},
               {1.25e16, "1.25e+16"},
               {1e22, "1e+22"},
               {1e100, "1e+100"},
               {5e-324, "5e-324"},
               {1.7976931348623157e308, "1.7976931348623157e+308"},
               {11.313708498984761, "11.313708498984761"},
               {9007199254740993.0, "9007199254740992.0"}};
  for (const auto& [value, text] : cases) EXPECT_EQ(Json(value).dump_python(), text);
}

TEST(JsonDump, PythonTextIndentsSortsAndEscapes) {
  const Json json = parsed(
      "{\"z\": [], \"b\": {}, \"a\": [1, {\"y\": 2, \"x\": \"\xc3\xa9 \xf0\x9f\x98\x80\"}],"
      " \"\xc3\xa4\": \"\\u007f\\\"\\\\\\/\\b\\t\\u0001\"}");
  EXPECT_EQ(json.dump_python(), R"({
  "a": [
    1,
    {
      "x": "\u00e9 \ud83d\ude00",
      "y": 2
    }
  ],
  "b": {},
  "z": [],
  "\u00e4": "\u007f\"\\/\b\t\u0001"
})");
  EXPECT_EQ(json.dump_python(-1, false).substr(0, 18), R"({"z": [], "b": {},)");
}

TEST(JsonDump, StringsThatAreNoUtf8BecomeReplacementCharacters) {
  EXPECT_EQ(Json("a\xff").dump(), "\"a\xef\xbf\xbd\"");
  EXPECT_EQ(Json("a\xff").dump_python(), R"("a\ufffd")");
}

TEST(JsonDump, CompactTextKeepsUtf8AndOrder) {
  EXPECT_EQ(parsed(R"({"z":"\u00e9\u007f","a":[]})").dump(), "{\"z\":\"\u00e9\x7f\",\"a\":[]}");
}

// json.dumps sorts by code point: U+FF21 comes before U+1F600, though its UTF-16 is greater.
TEST(JsonDump, KeysSortByCodePoint) {
  EXPECT_EQ(parsed(R"({"\ud83d\ude00": 1, "\uff21": 2, "a": 3, "B": 4, "": 5})").dump_python(-1),
            R"({"": 5, "B": 4, "a": 3, "\uff21": 2, "\ud83d\ude00": 1})");
}

TEST(JsonDump, TheExtremesOfIntegersAreWrittenInFull) {
  EXPECT_EQ(Json(std::numeric_limits<std::int64_t>::min()).dump(), "-9223372036854775808");
  EXPECT_EQ(Json(std::numeric_limits<std::uint64_t>::max()).dump(), "18446744073709551615");
}

TEST(JsonDump, IndentZeroBreaksLines) {
  EXPECT_EQ(parsed("[1,[]]").dump_python(0), "[\n1,\n[]\n]");
  EXPECT_EQ(parsed("{}").dump_python(), "{}");
}

}  // namespace
}  // namespace ferrule
