// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <filesystem>
#include <utility>

#include "ferrule/hub.hpp"
#include "hub/cached_repository.hpp"
#include "hub/test_environment.hpp"

namespace ferrule::hub {
namespace {

TEST(HubClientTest, PushesAndPullsByTheDestinationsScheme) {
  const test::TestEnvironment environment(
      {{"AWS_ACCESS_KEY_ID", "id"}, {"AWS_SECRET_ACCESS_KEY", "secret"}});
  const test::CachedRepository cached;
  HubClient client(cached.settings());
  EXPECT_TRUE(client.pull("ann/a"));
  for (const auto* source : {"s3://b/a", "http://127.0.0.1:9/a"}) {
    const auto pulled = client.pull(source);
    ASSERT_FALSE(pulled) << source;
    EXPECT_EQ(failure_kind(pulled.error()), "offline") << pulled.error().to_string();
  }
  const auto adapter = cached.snapshot();
  for (const auto* destination : {"ann/a", "s3://b/a"}) {
    const auto pushed = client.push(adapter, destination);
    ASSERT_FALSE(pushed) << destination;
    EXPECT_EQ(failure_kind(pushed.error()), "offline") << pushed.error().to_string();
  }
  const auto refused = client.push(adapter, "https://h/a");
  ASSERT_FALSE(refused);
  EXPECT_EQ(failure_kind(refused.error()), "usage");
}

TEST(HubClientTest, KeepsItsSettingsWhenItMoves) {
  HubClient client(Settings{.endpoint = "http://hub:1"});
  HubClient moved(std::move(client));
  EXPECT_EQ(moved.settings().endpoint, "http://hub:1");
  client = std::move(moved);
  EXPECT_EQ(client.settings().endpoint, "http://hub:1");
}

TEST(HubClientTest, RemotePathsAreKnownByTheirScheme) {
  for (const auto* remote : {"hf://ann/a", "s3://b/a", "https://h/a", "http://h/a"}) {
    EXPECT_TRUE(is_remote(remote)) << remote;
  }
  for (const auto* local : {"", "ann/a", "/hf://a", "hf:/a", "file:///a"}) {
    EXPECT_FALSE(is_remote(local)) << local;
  }
}

}  // namespace
}  // namespace ferrule::hub
