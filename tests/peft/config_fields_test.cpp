// SPDX-License-Identifier: Apache-2.0
#include "peft/config_fields.hpp"

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

#include "ferrule/json.hpp"

namespace ferrule::peft {
namespace {

TEST(ConfigFields, TruthIsPythons) {
  const auto document = Json::parse(
                            R"({"null": null, "no": false, "yes": true, "zero": 0, "one": 0.5,
                                "empty": "", "text": "x", "list": [], "items": [0], "object": {},
                                "members": {"a": null}})")
                            .value();
  const ConfigFields fields(document);
  for (const auto* name : {"null", "no", "zero", "empty", "list", "object", "missing"}) {
    EXPECT_FALSE(fields.truthy(name)) << name;
  }
  for (const auto* name : {"yes", "one", "text", "items", "members"}) {
    EXPECT_TRUE(fields.truthy(name)) << name;
  }
}

TEST(ConfigFields, NullIsNotGiven) {
  const auto document = Json::parse(R"({"null": null, "no": false})").value();
  const ConfigFields fields(document);
  EXPECT_FALSE(fields.given("null"));
  EXPECT_FALSE(fields.given("missing"));
  EXPECT_TRUE(fields.given("no"));
}

TEST(ConfigFields, WhatIsOfAnotherKindReadsAsEmpty) {
  const auto document = Json::parse(R"({"n": 3, "t": "x", "l": ["a", 1, "b"]})").value();
  const ConfigFields fields(document);
  EXPECT_EQ(fields.text("n"), "");
  EXPECT_EQ(fields.text("t"), "x");
  EXPECT_TRUE(fields.is_text("t"));
  EXPECT_FALSE(fields.is_text("n"));
  EXPECT_EQ(fields.number("n"), 3.0);
  EXPECT_FALSE(fields.number("t"));
  EXPECT_EQ(fields.texts("l"), (std::vector<std::string_view>{"a", "b"}));
  EXPECT_EQ(fields.length("l"), 3U);
  EXPECT_EQ(fields.length("t"), 0U);
  EXPECT_EQ(fields.dump("l"), "[\"a\", 1, \"b\"]");
  EXPECT_EQ(fields.dump("missing"), "null");
}

}  // namespace
}  // namespace ferrule::peft
