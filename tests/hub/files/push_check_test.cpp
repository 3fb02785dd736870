// SPDX-License-Identifier: Apache-2.0
#include "hub/files/push_check.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "temp_dir.hpp"

namespace ferrule::hub {
namespace {

namespace fs = std::filesystem;

/// An adapter that PEFT saved.
void copy_adapter(const fs::path& to) {
  fs::copy(fs::path(FERRULE_TEST_DATA) / "golden/cases/lora/expected", to);
}

TEST(HubPushCheck, AnAdapterPassesWithOrWithoutACard) {
  const test::TempDir folder;
  copy_adapter(folder / "a");
  EXPECT_TRUE(verify_for_push(folder / "a", {}));
  test::write_file(folder / "a/README.md", "---\nbase_model: ann/base\n---\n# Mine\n");
  EXPECT_TRUE(verify_for_push(folder / "a", {}));
  test::write_file(folder / "a/README.md", "# No front matter\n");
  EXPECT_TRUE(verify_for_push(folder / "a", {}));
}

TEST(HubPushCheck, ACardThatTheHubWouldRefuseIsRefusedHere) {
  const test::TempDir folder;
  copy_adapter(folder / "a");
  for (const auto* card : {"---\nbase_model: /home/ann/base\n---\n", "---\na: [\n---\n"}) {
    test::write_file(folder / "a/README.md", card);
    const auto refused = verify_for_push(folder / "a", {});
    ASSERT_FALSE(refused) << card;
    EXPECT_EQ(refused.error().rule, "HB-17") << card;
    EXPECT_EQ(refused.error().path, (folder / "a/README.md").string());
  }
}

TEST(HubPushCheck, WhatIsNotAnAdapterHasTheRuleOfItsFirstFinding) {
  const test::TempDir folder;
  copy_adapter(folder / "a");
  const auto weights = test::read_file(folder / "a/adapter_model.safetensors");
  test::write_file(folder / "a/adapter_model.safetensors", weights.substr(0, weights.size() - 1));
  const auto truncated = verify_for_push(folder / "a", {});
  ASSERT_FALSE(truncated);
  EXPECT_EQ(truncated.error().rule.rfind("ST-", 0), 0U) << truncated.error().to_string();
  EXPECT_NE(truncated.error().message.find("nothing was sent"), std::string::npos);
  const auto file = verify_for_push(folder / "a/adapter_config.json", {});
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().rule, "AD-15");
  EXPECT_FALSE(verify_for_push(folder / "missing", {}));
}

}  // namespace
}  // namespace ferrule::hub
