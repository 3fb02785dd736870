// SPDX-License-Identifier: Apache-2.0
// What is refused before a request; the rest is in test_push.py and test_push_faults.py.
#include "hub/huggingface/push.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "temp_dir.hpp"

namespace ferrule::hub {
namespace {

const std::filesystem::path kAdapter =
    std::filesystem::path(FERRULE_TEST_DATA) / "golden/cases/lora/expected";

class Push : public testing::Test {
 protected:
  Session session{Settings{.endpoint = "http://127.0.0.1:9", .offline = true}};
};

TEST_F(Push, NamesThatNoHubHasAreRefused) {
  EXPECT_EQ(push_to_repository(session, kAdapter, "a/b/c", {}).error().rule, "HB-1");
  EXPECT_EQ(push_to_repository(session, kAdapter, "ann/a", {.revision = "../x"}).error().rule,
            "HB-1");
}

TEST_F(Push, APullRequestGoesToMain) {
  const auto refused =
      push_to_repository(session, kAdapter, "ann/a", {.revision = "dev", .create_pr = true});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().rule, "HB-1");
  const auto offline =
      push_to_repository(session, kAdapter, "ann/a", {.revision = "main", .create_pr = true});
  ASSERT_FALSE(offline);
  EXPECT_EQ(offline.error().rule, "HB-2");
}

TEST_F(Push, TheAdapterIsJudgedBeforeTheNetwork) {
  const test::TempDir folder;
  test::write_file(folder / "adapter_config.json", "{");
  const auto refused = push_to_repository(session, folder.path(), "ann/a", {});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().rule.substr(0, 3), "HB-") << refused.error().to_string();
}

}  // namespace
}  // namespace ferrule::hub
