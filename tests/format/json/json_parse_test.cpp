// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <string_view>

#include "ferrule/json.hpp"

namespace ferrule {
namespace {

using std::string_literals::operator""s;

Json parsed(std::string_view text) {
  auto json = Json::parse(text, {.allow_nan = true});
  EXPECT_TRUE(json) << text << ": " << (json ? "" : json.error().to_string());
  return json ? *json : Json();
}

struct Refusal {
  const char* name;
  std::string text;
  const char* rule;
};

class JsonRefusals : public testing::TestWithParam<Refusal> {};

TEST_P(JsonRefusals, NamesTheRule) {
  const auto json = Json::parse(GetParam().text);
  ASSERT_FALSE(json);
  EXPECT_EQ(json.error().rule, GetParam().rule);
  EXPECT_NE(json.error().message.find("byte"), std::string::npos) << json.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    Texts, JsonRefusals,
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

TEST(JsonParse, DepthUpToTheLimitIsRead) {
  EXPECT_TRUE(Json::parse(std::string(128, '[') + std::string(128, ']')));
  EXPECT_TRUE(Json::parse(std::string(500, '[') + std::string(500, ']'), {.depth = 500}));
}

TEST(JsonParse, ErrorsTellTheByte) {
  EXPECT_NE(Json::parse("{\"a\": 1, }").error().message.find("byte 9"), std::string::npos);
  EXPECT_NE(Json::parse("\"ab\xff\"").error().message.find("byte 3"), std::string::npos);
}

TEST(JsonParse, PythonsNonFiniteNumbersWhereAllowed) {
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

// Python's json.loads gives each of them the same value.
TEST(JsonParse, UnescapesStringsAsPythonDoes) {
  const struct {
    std::string_view text;
    std::string_view value;
  } rows[] = {{R"("\"\\\/\b\f\n\r\t")", "\"\\/\b\f\n\r\t"},
              {R"("\u0041\u00e9\u20ac")", "A\u00e9\u20ac"},
              {R"("\ud83e\udd17")", "\U0001f917"},
              {R"("\uD83E\uDD17")", "\U0001f917"},
              {R"("\udbff\udfff")", "\U0010ffff"},
              {"\"\x7f\"", "\x7f"},
              {R"("")", ""}};
  for (const auto& [text, value] : rows) {
    const Json json = parsed(text);
    EXPECT_EQ(*json.if_string(), value) << text;
  }
  const Json nul = parsed(R"("a\u0000b")");
  EXPECT_EQ(*nul.if_string(), "a\0b"s);
}

TEST(JsonParse, ReadsNumbersAsPythonDoes) {
  const struct {
    std::string_view text;
    double value;
  } rows[] = {{"0.1", 0.1},
              {"1e-7", 1e-7},
              {"1E+2", 100.0},
              {"-0.0", -0.0},
              {"5e-324", 5e-324},
              {"1e-999", 0.0},
              {"1.7976931348623157e308", 1.7976931348623157e308},
              {"9007199254740993.0", 9007199254740992.0}};
  for (const auto& [text, value] : rows) {
    const Json json = parsed(text);
    ASSERT_TRUE(json.is_float()) << text;
    EXPECT_EQ(*json.if_float(), value) << text;
    EXPECT_EQ(std::signbit(*json.if_float()), std::signbit(value)) << text;
  }
}

TEST(JsonParse, ManyKeysStayLinear) {
  std::string text = "{";
  for (int i = 0; i < 200000; ++i) text += (i ? ",\"k" : "\"k") + std::to_string(i) + "\":0";
  const auto many = parsed(text + "}");
  EXPECT_EQ(many.if_object()->size(), 200000U);
}

}  // namespace
}  // namespace ferrule
