// SPDX-License-Identifier: Apache-2.0
// What is refused before a request; the rest is in test_s3.py and test_s3_parts.py.
#include "hub/object_store/push_to_store.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "hub/test_environment.hpp"

namespace ferrule::hub {
namespace {

const std::filesystem::path kAdapter =
    std::filesystem::path(FERRULE_TEST_DATA) / "golden/cases/lora/expected";

class PushToStore : public testing::Test {
 protected:
  test::TestEnvironment environment{
      {{"AWS_ACCESS_KEY_ID", "id"}, {"AWS_SECRET_ACCESS_KEY", "secret"}}};
  Session session{Settings{.offline = true}};
};

TEST_F(PushToStore, AFolderOfTheWebCannotBeWritten) {
  EXPECT_EQ(push_to_store(session, kAdapter, "https://h/a", {}).error().rule, "HB-1");
}

TEST_F(PushToStore, OptionsOfTheHubAreRefusedNotIgnored) {
  for (const auto& options :
       {PushOptions{.revision = "main"}, PushOptions{.privacy = Privacy::kPrivate},
        PushOptions{.privacy = Privacy::kPrivateIfNew}, PushOptions{.create_pr = true}}) {
    EXPECT_EQ(push_to_store(session, kAdapter, "s3://b/a", options).error().rule, "HB-1");
  }
}

TEST_F(PushToStore, NeedsCredentials) {
  environment.set("AWS_SECRET_ACCESS_KEY", nullptr);
  EXPECT_EQ(push_to_store(session, kAdapter, "s3://b/a", {}).error().rule, "HB-4");
}

TEST_F(PushToStore, OfflineNothingIsSent) {
  EXPECT_EQ(push_to_store(session, kAdapter, "s3://b/a", {}).error().rule, "HB-2");
}

}  // namespace
}  // namespace ferrule::hub
