// SPDX-License-Identifier: Apache-2.0
// hf:// paths out of the cache; those that need a server are in test_pull.py.
#include <gtest/gtest.h>

#include "ferrule/adapter.hpp"
#include "ferrule/hub.hpp"
#include "hub/cached_repository.hpp"

namespace ferrule::hub {
namespace {

TEST(HubRemote, AFolderOfACachedRepositoryOpensAsAnAdapter) {
  const test::CachedRepository cached;
  HubClient client(cached.settings());
  for (const bool headers_only : {false, true}) {
    const auto remote = client.open_remote("hf://ann/a@main/sub", headers_only);
    ASSERT_TRUE(remote) << remote.error().to_string();
    EXPECT_EQ(remote->path, cached.snapshot() / "sub");
    EXPECT_EQ(remote->commit, cached.commit());
    EXPECT_TRUE(remote->values);
    EXPECT_TRUE(Adapter::open(remote->path));
  }
}

TEST(HubRemote, WhatOptionsSayOfOutputAndFilesIsNotForPaths) {
  const test::CachedRepository cached;
  HubClient client(cached.settings());
  const test::TempDir folder;
  PullOptions options;
  options.output = folder / "out";
  options.files = {"nothing"};
  const auto remote = client.open_remote("hf://ann/a", false, options);
  ASSERT_TRUE(remote) << remote.error().to_string();
  EXPECT_EQ(remote->path, cached.snapshot());
  EXPECT_FALSE(std::filesystem::exists(folder / "out"));
}

TEST(HubRemote, AMissingFolderAndAPathWithoutASchemeAreRefused) {
  const test::CachedRepository cached;
  HubClient client(cached.settings());
  EXPECT_EQ(client.open_remote("hf://ann/a/nothing", false).error().rule, "HB-8");
  EXPECT_EQ(client.open_remote("ann/a", false).error().rule, "HB-1");
  EXPECT_EQ(client.open_remote("hf://ann/b", false).error().rule, "HB-2");
}

}  // namespace
}  // namespace ferrule::hub
