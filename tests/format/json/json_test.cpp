// SPDX-License-Identifier: Apache-2.0
#include "ferrule/json.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace ferrule {
namespace {

using std::string_literals::operator""s;

Json parsed(std::string_view text) {
  auto json = Json::parse(text, {.allow_nan = true});
  EXPECT_TRUE(json) << text << ": " << (json ? "" : json.error().to_string());
  return json ? *json : Json();
}

TEST(Json, KeepsOrderAndTellsIntegersFromFloats) {
  const Json json = parsed(R"({"b": 1, "a": 1.0, "c": [true, null, "x"], "d": {}})");
  ASSERT_TRUE(json.is_object());
  EXPECT_EQ(json.if_object()->front().first, "b");
  EXPECT_TRUE(json.find("b")->is_integer());
  EXPECT_TRUE(json.find("a")->is_float());
  EXPECT_FALSE(*json.find("a") == *json.find("b"));
  EXPECT_FALSE(json.find("c")->if_array()->front().is_number());
  EXPECT_EQ(json.find("e"), nullptr);
  EXPECT_EQ(json.dump(), R"({"b":1,"a":1.0,"c":[true,null,"x"],"d":{}})");
}

TEST(Json, KeepsIntegersOfAnySize) {
  for (const std::string_view text :
       {"9223372036854775807", "9223372036854775808", "18446744073709551615",
        "18446744073709551616", "-9223372036854775808", "-9223372036854775809",
        "123456789012345678901234567890"}) {
    const Json json = parsed(text);
    EXPECT_TRUE(json.is_integer()) << text;
    EXPECT_EQ(json.dump_python(), text);
    EXPECT_DOUBLE_EQ(*json.number(), std::stod(std::string(text)));
  }
  EXPECT_EQ(Json(std::numeric_limits<std::uint64_t>::max()), parsed("18446744073709551615"));
  EXPECT_EQ(Json::big_integer("7"), Json(7));
  EXPECT_EQ(parsed("-0").dump(), "0");
}

TEST(Json, SetReplacesInPlaceAndEraseRemoves) {
  Json json;
  json.set("a", 1);
  json.set("b", "two");
  json.set("a", nullptr);
  EXPECT_EQ(json.dump(), R"({"a":null,"b":"two"})");
  EXPECT_TRUE(json.erase("a"));
  EXPECT_FALSE(json.erase("a"));
  EXPECT_EQ(json.dump(), R"({"b":"two"})");
}

struct Refusal {
  const char* name;
  std::string text;
  const char* rule;
};

class JsonRefusal : public testing::TestWithParam<Refusal> {};

TEST_P(JsonRefusal, NamesTheRule) {
  const auto json = Json::parse(GetParam().text);
  ASSERT_FALSE(json);
  EXPECT_EQ(json.error().rule, GetParam().rule);
  EXPECT_NE(json.error().message.find("byte"), std::string::npos) << json.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    Texts, JsonRefusal,
    testing::Values(
        Refusal{"Empty", "", "CF-1"}, Refusal{"Truncated", R"({"a": )", "CF-1"},
        Refusal{"TrailingText", "{} x", "CF-1"}, Refusal{"TrailingNul", "{}\0"s, "CF-1"},
        Refusal{"NulInside", "[1\0]"s, "CF-1"}, Refusal{"ByteOrderMark", "\xef\xbb\xbf{}", "CF-1"},
        Refusal{"NotUtf8", "\"\xff\"", "CF-1"}, Refusal{"OverlongUtf8", "\"\xc0\x80\"", "CF-1"},
        Refusal{"SurrogateInUtf8", "\"\xed\xa0\x80\"", "CF-1"},
        Refusal{"LoneHighSurrogate", R"("\ud800")", "CF-1"},
        Refusal{"LoneLowSurrogate", R"("\udc00 ")", "CF-1"},
        Refusal{"ControlCharacter", "\"a\nb\"", "CF-1"}, Refusal{"TrailingComma", "[1,]", "CF-1"},
        Refusal{"Comment", "[1] // one", "CF-1"}, Refusal{"SingleQuotes", "['a']", "CF-1"},
        Refusal{"LeadingZero", "[01]", "CF-1"}, Refusal{"Plus", "[+1]", "CF-1"},
        Refusal{"NumberOutOfRange", "[1e999]", "CF-1"}, Refusal{"NanWhereStrict", "[NaN]", "CF-1"},
        Refusal{"DuplicateKey", R"({"a": 1, "b": 2, "a": 3})", "CF-2"},
        Refusal{"DuplicateKeyAfterUnescaping", R"({"r": 1, "\u0072": 2})", "CF-2"},
        Refusal{"DuplicateKeyInside", R"([{"x": {"a": 1, "a": 1}}])", "CF-2"},
        Refusal{"TooDeep", std::string(129, '[') + std::string(129, ']'), "CF-3"},
        Refusal{"TooDeepAndUnfinished", std::string(1000000, '['), "CF-3"}),
    [](const auto& test) { return test.param.name; });

TEST(Json, DepthUpToTheLimitIsRead) {
  EXPECT_TRUE(Json::parse(std::string(128, '[') + std::string(128, ']')));
  EXPECT_TRUE(Json::parse(std::string(500, '[') + std::string(500, ']'), {.depth = 500}));
}

TEST(Json, ErrorsTellTheByte) {
  EXPECT_NE(Json::parse("{\"a\": 1, }").error().message.find("byte 9"), std::string::npos);
  EXPECT_NE(Json::parse("\"ab\xff\"").error().message.find("byte 3"), std::string::npos);
}

TEST(Json, PythonsNonFiniteNumbersWhereAllowed) {
  const Json json = parsed(R"([NaN, Infinity ,-Infinity,1.5,{"NaN":"NaN, Infinity"}, NaN])");
  const auto& items = *json.if_array();
  EXPECT_TRUE(std::isnan(*items[0].if_float()));
  EXPECT_EQ(*items[1].if_float(), std::numeric_limits<double>::infinity());
  EXPECT_EQ(*items[2].if_float(), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(*items[3].if_float(), 1.5);
  EXPECT_EQ(*items[4].find("NaN")->if_string(), "NaN, Infinity");
  EXPECT_TRUE(std::isnan(*items[5].if_float()));
  EXPECT_EQ(json.dump_python(-1),
            R"([NaN, Infinity, -Infinity, 1.5, {"NaN": "NaN, Infinity"}, NaN])");
  EXPECT_EQ(json.dump(), R"([null,null,null,1.5,{"NaN":"NaN, Infinity"},null])");
  for (const std::string_view text : {"[1NaN]", "[-NaN]", "[NaN1]", "NaNNaN", "[1Infinity]",
                                      "{NaN: 1}", "[--Infinity]", "[nan]", "[+Infinity]"}) {
    EXPECT_FALSE(Json::parse(text, {.allow_nan = true})) << text;
  }
  const auto nan = parsed("NaN");
  EXPECT_TRUE(std::isnan(*nan.if_float()));
}

TEST(Json, FloatsAsPythonPrintsThem) {
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

TEST(Json, PythonTextIndentsSortsAndEscapes) {
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

TEST(Json, StringsThatAreNoUtf8BecomeReplacementCharacters) {
  EXPECT_EQ(Json("a\xff").dump(), "\"a\xef\xbf\xbd\"");
  EXPECT_EQ(Json("a\xff").dump_python(), R"("a\ufffd")");
}

TEST(Json, ManyKeysStayLinear) {
  std::string text = "{";
  for (int i = 0; i < 200000; ++i) text += (i ? ",\"k" : "\"k") + std::to_string(i) + "\":0";
  const auto many = parsed(text + "}");
  EXPECT_EQ(many.if_object()->size(), 200000U);
}

}  // namespace
}  // namespace ferrule
