// SPDX-License-Identifier: Apache-2.0
#include "peft/config_schema.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "ferrule/adapter_config.hpp"

namespace ferrule::peft {
namespace {

TEST(ConfigSchema, EveryTypeIsFoundAndItsFieldsAreSorted) {
  for (const auto type : peft_types()) {
    const auto* schema = find_type(type);
    ASSERT_NE(schema, nullptr) << type;
    EXPECT_TRUE(std::is_sorted(schema->fields.begin(), schema->fields.end(),
                               [](const auto& a, const auto& b) { return a.name < b.name; }))
        << type;
    for (const auto& field : schema->fields) {
      EXPECT_EQ(schema->find(field.name), &field) << type;
      EXPECT_TRUE(holds(field.kinds, field.default_value.to_json()))
          << type << " " << field.name << ": its own default is of no kind that it takes";
    }
  }
  EXPECT_EQ(find_type("lora"), nullptr);
  EXPECT_EQ(find_type("LORA")->find("no_such_field"), nullptr);
  EXPECT_NE(find_sub_config("eva_config"), nullptr);
  EXPECT_EQ(find_sub_config("r"), nullptr);
}

TEST(ConfigSchema, KindsAreTolerantAsPeftIs) {
  EXPECT_TRUE(holds(kind::kFloat, Json(1))) << "a float takes an integer";
  EXPECT_FALSE(holds(kind::kInt, Json(1.0)));
  EXPECT_FALSE(holds(kind::kInt, Json(true))) << "no number takes a bool";
  EXPECT_TRUE(holds(kind::kBool, Json())) << "None reads as False";
  EXPECT_FALSE(holds(kind::kString, Json()));
  EXPECT_TRUE(holds(kind::kIntPairs, Json(Json::Array{Json(Json::Array{Json(1), Json(2)})})));
  EXPECT_FALSE(holds(kind::kIntPairs, Json(Json::Array{Json(Json::Array{Json(1)})})));
  EXPECT_TRUE(holds(kind::kNumberObject, Json(Json::Object{{"a", Json(1.5)}})));
  EXPECT_FALSE(holds(kind::kIntObject, Json(Json::Object{{"a", Json(1.5)}})));
}

TEST(ConfigSchema, KindsReadAsWords) {
  EXPECT_EQ(describe_kinds(kind::kInt | kind::kNull), "an integer or null");
  EXPECT_EQ(describe_kinds(kind::kFloat | kind::kInt), "a number");
}

}  // namespace
}  // namespace ferrule::peft
