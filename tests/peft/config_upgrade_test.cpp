// SPDX-License-Identifier: Apache-2.0
#include "peft/config_upgrade.hpp"

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

namespace ferrule::peft {
namespace {

TEST(ConfigUpgrade, BoneIsMissAndItsBiasWithIt) {
  auto document = Json::parse(R"({"peft_type": "BONE", "bias": "bone_only"})").value();
  std::vector<Finding> notes;
  ASSERT_TRUE(upgrade_config(document, notes));
  EXPECT_EQ(*document.find("peft_type"), Json("MISS"));
  EXPECT_EQ(*document.find("bias"), Json("MiSS_only"));
  ASSERT_EQ(notes.size(), 2U);
  EXPECT_EQ(notes[0].rule, "CF-13");
}

TEST(ConfigUpgrade, RuntimeSettingsGo) {
  auto document = Json::parse(R"({"peft_type": "LORA", "runtime_config": {}})").value();
  std::vector<Finding> notes;
  ASSERT_TRUE(upgrade_config(document, notes));
  EXPECT_EQ(document.find("runtime_config"), nullptr);
  EXPECT_EQ(notes.size(), 1U);
}

TEST(ConfigUpgrade, AnOldOftIsRefused) {
  auto document = Json::parse(R"({"peft_type": "OFT", "r": 4})").value();
  std::vector<Finding> notes;
  const auto upgraded = upgrade_config(document, notes);
  ASSERT_FALSE(upgraded);
  EXPECT_EQ(upgraded.error().rule, "CF-15");
}

TEST(ConfigUpgrade, TodaysConfigStaysAsItIs) {
  constexpr std::string_view kText = R"({"peft_type":"OFT","oft_block_size":32,"bias":"none"})";
  auto document = Json::parse(kText).value();
  std::vector<Finding> notes;
  ASSERT_TRUE(upgrade_config(document, notes));
  EXPECT_EQ(document.dump(), kText);
  EXPECT_TRUE(notes.empty());
}

}  // namespace
}  // namespace ferrule::peft
