// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string_view>

#include "ferrule/json.hpp"
#include "peft/config_rules.hpp"
#include "peft/config_schema.hpp"

namespace ferrule::peft {
namespace {

/// The document with every default of its type, as AdapterConfig has it, and completed.
Json completed(std::string_view type, std::string_view text) {
  auto document = Json::parse(text).value();
  for (const auto& field : find_type(type)->fields) {
    if (document.find(field.name) == nullptr) {
      document.set(field.name, field.default_value.to_json());
    }
  }
  complete_config(type, document);
  return document;
}

/// One field of the completed document.
Json field(std::string_view type, std::string_view text, std::string_view name) {
  const auto document = completed(type, text);
  return *document.find(name);
}

TEST(ConfigComplete, AnInitializationGetsTheConfigThatItNeeds) {
  const auto eva = completed("LORA", R"({"init_lora_weights": "eva"})");
  EXPECT_EQ(*eva.find("eva_config")->find("rho"), Json(2.0));
  EXPECT_TRUE(field("LORA", "{}", "eva_config").is_null());
}

TEST(ConfigComplete, LoftqIsDroppedUnlessItIsTheInitialization) {
  constexpr std::string_view kBits = R"({"loftq_config": {"loftq_bits": 4}})";
  EXPECT_EQ(field("LORA", kBits, "loftq_config"), Json(Json::Object()));
  const auto used =
      completed("LORA", R"({"init_lora_weights": "loftq", "loftq_config": {"loftq_bits": 4}})");
  EXPECT_NE(used.find("loftq_config")->find("loftq_bits"), nullptr);
}

TEST(ConfigComplete, CptCountsItsTokens) {
  const auto cpt = completed("CPT", R"({"cpt_token_ids": [5, 6, 7]})");
  EXPECT_EQ(*cpt.find("num_virtual_tokens"), Json(3));
  EXPECT_EQ(cpt.find("cpt_mask")->if_array()->size(), 3U);
  EXPECT_EQ(field("CPT", "{}", "num_virtual_tokens"), Json(1));
}

TEST(ConfigComplete, SupertuningsAlphaIsTwiceItsRank) {
  EXPECT_EQ(field("SUPERTUNING", R"({"r": 6})", "lora_alpha"), Json(12));
  EXPECT_EQ(field("SUPERTUNING", R"({"r": 6, "lora_alpha": 5})", "lora_alpha"), Json(5));
}

}  // namespace
}  // namespace ferrule::peft
