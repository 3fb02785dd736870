// SPDX-License-Identifier: Apache-2.0
// Pulls out of the cache; those that need a server are in test_pull.py and test_pull_faults.py.
#include "hub/huggingface/pull.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "hub/cached_repository.hpp"

namespace ferrule::hub {
namespace {

class CachedPull : public testing::Test {
 protected:
  const test::CachedRepository cached;
  Session session{cached.settings()};
};

TEST_F(CachedPull, NeedsNoRequest) {
  const auto report = pull_from_repository(session, "ann/a", {});
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(report->repo, "ann/a");
  EXPECT_EQ(report->revision, "main");
  EXPECT_EQ(report->commit, cached.commit());
  EXPECT_EQ(report->path, cached.snapshot());
  EXPECT_EQ(report->files.size(), 4U);
}

TEST_F(CachedPull, TakesNamedFilesInTurn) {
  const PullOptions options;
  Pull pull(session, "ann/a", options);
  ASSERT_TRUE(pull.begin());
  EXPECT_TRUE(pull.is_from_cache());
  EXPECT_EQ(pull.commit(), cached.commit());
  EXPECT_EQ(pull.files().size(), 4U);
  const auto config = pull.take({"adapter_config.json"});
  ASSERT_TRUE(config);
  EXPECT_EQ(config->files, (std::vector<std::string>{"adapter_config.json"}));
  const auto other = pull.take({"sub/adapter_config.json"});
  ASSERT_TRUE(other);
  EXPECT_EQ(other->commit, config->commit);
  const auto missing = pull.take({"nothing"});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().rule, "HB-8");
}

TEST_F(CachedPull, CopiesIntoAFolder) {
  const test::TempDir folder;
  PullOptions options;
  options.output = folder / "out";
  options.files = {"adapter_config.json"};
  const auto report = pull_from_repository(session, "ann/a", options);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(report->path, folder / "out");
  EXPECT_EQ(test::read_file(folder / "out/adapter_config.json"),
            test::read_file(cached.snapshot() / "adapter_config.json"));
}

TEST_F(CachedPull, WhatIsNotCachedIsOffline) {
  for (const auto& [repo, revision] : std::vector<std::pair<std::string, std::string>>{
           {"ann/b", ""}, {"ann/a", "other"}, {"ann/a", std::string(40, '2')}}) {
    PullOptions options;
    options.revision = revision;
    const auto refused = pull_from_repository(session, repo, options);
    ASSERT_FALSE(refused) << repo;
    EXPECT_TRUE(refused.error().rule == "HB-2" || refused.error().rule == "HB-20")
        << refused.error().to_string();
  }
}

TEST_F(CachedPull, MissingAndDamagedFilesAreTwoThings) {
  const auto config = cached.snapshot() / "adapter_config.json";
  const auto blob = std::filesystem::canonical(config);
  auto text = test::read_file(blob);
  text.front() = text.front() == ' ' ? '{' : ' ';
  test::write_file(blob, text);
  auto refused = pull_from_repository(session, "ann/a", {.files = {"adapter_config.json"}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().rule, "HB-13");
  EXPECT_EQ(refused.error().path, config.string());
  std::filesystem::remove(config);
  refused = pull_from_repository(session, "ann/a", {.files = {"adapter_config.json"}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().rule, "HB-20");
}

TEST_F(CachedPull, NamesThatNoHubHasAreRefusedFirst) {
  EXPECT_EQ(pull_from_repository(session, "a/b/c", {}).error().rule, "HB-1");
  EXPECT_EQ(pull_from_repository(session, "ann/a", {.revision = "../x"}).error().rule, "HB-1");
}

}  // namespace
}  // namespace ferrule::hub
