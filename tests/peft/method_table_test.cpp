// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <string_view>

#include "ferrule/adapter_config.hpp"
#include "peft/config_schema.hpp"
#include "peft/method.hpp"

namespace ferrule::peft {
namespace {

TEST(MethodTable, EveryTypeOfPeftHasARow) {
  for (const auto type : peft_types()) EXPECT_NE(find_method(type), nullptr) << type;
  EXPECT_EQ(find_method("lora"), nullptr);
}

TEST(MethodTable, PairsAndRanksNameRolesOfTheirMethod) {
  for (const auto& method : all_methods()) {
    std::set<std::string_view> attributes;
    for (const auto& role : method.roles) attributes.insert(role.attribute);
    for (const auto& pair : method.pairs) {
      EXPECT_TRUE(attributes.contains(pair.first)) << method.peft_type << " " << pair.first;
      EXPECT_TRUE(attributes.contains(pair.second)) << method.peft_type << " " << pair.second;
    }
    for (const auto& rank : method.ranks) {
      EXPECT_TRUE(attributes.contains(rank.attribute)) << method.peft_type << " " << rank.attribute;
    }
  }
}

TEST(MethodTable, AFlagIsABoolOfTheTypesConfig) {
  for (const auto& method : all_methods()) {
    for (const auto& role : method.roles) {
      if (role.saved != Saved::kIfFlag) continue;
      const auto* field = find_type(method.peft_type)->find(role.flag);
      ASSERT_NE(field, nullptr) << method.peft_type << " " << role.flag;
      EXPECT_TRUE(holds(field->kinds, Json(true))) << method.peft_type << " " << role.flag;
    }
  }
}

TEST(MethodTable, PromptLearningHasNoPrefix) {
  for (const auto& method : all_methods()) {
    const bool prompt = find_type(method.peft_type)->find("num_virtual_tokens") != nullptr;
    EXPECT_EQ(method.prompt_learning, prompt) << method.peft_type;
  }
}

TEST(MethodTable, LeavesAreMatchedByKind) {
  const auto* factor = find_role(*find_method("LORA"), Scope::kLayer, "lora_B");
  ASSERT_NE(factor, nullptr);
  EXPECT_TRUE(leaf_fits(*factor, "weight"));
  EXPECT_TRUE(leaf_fits(*factor, "bias"));
  EXPECT_FALSE(leaf_fits(*factor, ""));
  const auto* numbered = find_role(*find_method("ADAMSS"), Scope::kLayer, "adamss_A");
  EXPECT_TRUE(leaf_fits(*numbered, "12"));
  EXPECT_FALSE(leaf_fits(*numbered, "x"));
  EXPECT_EQ(find_role(*find_method("LORA"), Scope::kModel, "lora_B"), nullptr);
}

}  // namespace
}  // namespace ferrule::peft
