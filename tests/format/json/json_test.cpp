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

}  // namespace
}  // namespace ferrule
