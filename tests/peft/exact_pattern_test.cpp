// SPDX-License-Identifier: Apache-2.0
#include "peft/exact_pattern.hpp"

#include <gtest/gtest.h>

#include "ferrule/adapter_config.hpp"
#include "peft/strength.hpp"

namespace ferrule::peft {
namespace {

TEST(ExactPattern, WhatMeansSomethingIsEscaped) {
  EXPECT_EQ(exact_pattern("layers.0.q_proj"), "^layers\\.0\\.q_proj");
  EXPECT_EQ(exact_pattern("a+b"), "^a\\+b");
}

TEST(ExactPattern, NoLongerPathMatches) {
  auto config = AdapterConfig::parse(R"({"peft_type": "LORA", "r": 8})").value();
  ASSERT_TRUE(config.set("rank_pattern", Json(Json::Object{{exact_pattern("h.q"), Json(2)}})));
  EXPECT_EQ(resolve_strength(config, "h.q").value().rank, 2.0);
  EXPECT_EQ(resolve_strength(config, "x.h.q").value().rank, 8.0);
  EXPECT_EQ(resolve_strength(config, "hxq").value().rank, 8.0);
}

}  // namespace
}  // namespace ferrule::peft
