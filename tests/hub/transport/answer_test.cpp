// SPDX-License-Identifier: Apache-2.0
#include "hub/transport/answer.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "hub/transport/http_message.hpp"

namespace ferrule::hub {
namespace {

Response answer(std::string text) {
  Response response;
  response.status = 200;
  response.headers = {{"x-request-id", "r-1"}};
  response.text = std::move(text);
  return response;
}

TEST(HubAnswers, BombsOfJsonAreRefusedBeforeTheyGrow) {
  EXPECT_FALSE(parse_json(std::string(100, '[') + std::string(100, ']')));
  EXPECT_FALSE(parse_json("[" + std::string(300'000, ',') + "1]"));
  EXPECT_TRUE(parse_json(R"({"a": [1, 2, {"b": null}]})"));
}

TEST(HubAnswers, AnObjectOrAListIsAnAnswer) {
  const auto object = json_answer(answer(R"({"sha": "x"})"), "the commit");
  ASSERT_TRUE(object);
  EXPECT_EQ(text_member(*object, "sha"), "x");
  EXPECT_TRUE(json_answer(answer("[]"), "the list"));
}

TEST(HubAnswers, AnythingElseIsRefusedByNameWithTheRequest) {
  for (const auto* text : {"", "3", "\"text\"", "{", "no JSON", "<!DOCTYPE html><html>"}) {
    const auto refused = json_answer(answer(text), "the commit");
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().rule, "HB-12") << text;
    EXPECT_EQ(refused.error().http_status, 200) << text;
    EXPECT_EQ(refused.error().request_id, "r-1") << text;
    EXPECT_EQ(refused.error().message.rfind("the commit: ", 0), 0U) << refused.error().message;
  }
  const auto page = json_answer(answer(" \n<html>"), "the commit");
  EXPECT_NE(page.error().message.find("HTML"), std::string::npos) << page.error().message;
}

TEST(HubAnswers, MembersOfAnotherTypeCountAsAbsent) {
  const auto json = parse_json(
      R"({"text": "a", "size": 7, "negative": -1, "real": 1.5, "yes": true, "no": false})");
  ASSERT_TRUE(json);
  EXPECT_EQ(text_member(*json, "text"), "a");
  EXPECT_EQ(text_member(*json, "size"), "");
  EXPECT_EQ(text_member(*json, "missing"), "");
  EXPECT_EQ(size_member(*json, "size"), 7U);
  for (const auto* key : {"negative", "real", "text", "yes", "missing"}) {
    EXPECT_EQ(size_member(*json, key), std::nullopt) << key;
  }
  EXPECT_TRUE(true_member(*json, "yes"));
  for (const auto* key : {"no", "size", "text", "missing"}) {
    EXPECT_FALSE(true_member(*json, key)) << key;
  }
}

TEST(HubAnswers, WholeNumbersAreDigitsAndNothingElse) {
  EXPECT_EQ(whole_number("0"), 0U);
  EXPECT_EQ(whole_number("00010"), 10U);
  EXPECT_EQ(whole_number("18446744073709551615"), 18446744073709551615U);
  for (const auto* bad : {"", "-1", "+1", " 1", "1 ", "1.0", "0x1", "18446744073709551616"}) {
    EXPECT_EQ(whole_number(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace ferrule::hub
