// SPDX-License-Identifier: Apache-2.0
// What is refused before a request; the rest is in test_s3.py.
#include "hub/object_store/pull_from_store.hpp"

#include <gtest/gtest.h>

namespace ferrule::hub {
namespace {

TEST(HubPullFromStore, KnowsNoRevisions) {
  Session session{Settings()};
  const auto refused = pull_from_store(session, "s3://b/a", {.revision = "main"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().rule, "HB-1");
}

TEST(HubPullFromStore, OfflineByTheOptionOrTheSettingsAsksNothing) {
  Session online{Settings()};
  Session offline{Settings{.offline = true}};
  for (const auto* source : {"s3://b/a", "http://127.0.0.1:9/a"}) {
    const auto by_option = pull_from_store(online, source, {.offline = true});
    ASSERT_FALSE(by_option) << source;
    EXPECT_EQ(by_option.error().rule, "HB-2") << by_option.error().to_string();
    const auto by_settings = pull_from_store(offline, source, {});
    ASSERT_FALSE(by_settings) << source;
    EXPECT_EQ(by_settings.error().rule, "HB-2") << by_settings.error().to_string();
  }
}

}  // namespace
}  // namespace ferrule::hub
