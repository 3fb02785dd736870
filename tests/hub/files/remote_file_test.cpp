// SPDX-License-Identifier: Apache-2.0
#include "hub/files/remote_file.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ferrule::hub {
namespace {

const std::string kBlob(40, 'a');
const std::string kSha(64, 'b');

std::vector<std::string> paths_of(const std::vector<RemoteFile>& files) {
  std::vector<std::string> paths;
  for (const auto& file : files) paths.push_back(file.path);
  return paths;
}

TEST(HubRemoteFiles, AreCheckedByTheDigestOfTheirKind) {
  const RemoteFile small{.path = "a", .blob = kBlob};
  const RemoteFile large{.path = "w", .blob = kBlob, .sha256 = kSha};
  EXPECT_FALSE(small.large());
  EXPECT_EQ(small.etag(), kBlob);
  EXPECT_TRUE(large.large());
  EXPECT_EQ(large.etag(), kSha);
}

TEST(HubRemoteFiles, DigestsHaveTheirLengthInSmallDigits) {
  EXPECT_TRUE(check_hashes({.path = "a", .blob = kBlob}));
  EXPECT_TRUE(check_hashes({.path = "a", .blob = kBlob, .sha256 = kSha, .xet = kSha}));
  const std::vector<RemoteFile> bad = {{.path = "a"},
                                       {.path = "a", .blob = kBlob + "a"},
                                       {.path = "a", .blob = std::string(40, 'A')},
                                       {.path = "a", .blob = std::string(39, 'a') + "/"},
                                       {.path = "a", .blob = kBlob, .sha256 = "none"},
                                       {.path = "a", .blob = kBlob, .sha256 = kSha, .xet = kBlob}};
  for (const auto& file : bad) {
    const auto refused = check_hashes(file);
    ASSERT_FALSE(refused) << file.blob;
    EXPECT_EQ(refused.error().rule, "HB-12");
  }
}

TEST(HubRemoteFiles, AListingIsSorted) {
  std::vector<RemoteFile> files = {{.path = "b"}, {.path = "a/c"}, {.path = "a/b"}};
  ASSERT_TRUE(check_listing(files));
  EXPECT_EQ(paths_of(files), (std::vector<std::string>{"a/b", "a/c", "b"}));
}

TEST(HubRemoteFiles, AListingThatReachesOutOrMeetsItselfIsRefused) {
  const std::vector<std::vector<RemoteFile>> bad = {
      {{.path = "../x"}},
      {{.path = "/x"}},
      {{.path = ""}},
      {{.path = "a"}, {.path = "a"}},
      {{.path = "a"}, {.path = "a/b"}},
      {{.path = "a/b/c"}, {.path = "a-b"}, {.path = "a/b"}}};
  for (auto files : bad) {
    const auto refused = check_listing(files);
    ASSERT_FALSE(refused) << files.front().path;
    EXPECT_EQ(refused.error().rule, "HB-14");
  }
}

TEST(HubRemoteFiles, ThoseAreChosenThatAreNamed) {
  const std::vector<RemoteFile> all = {{.path = "a"}, {.path = "b"}, {.path = "c"}};
  EXPECT_EQ(choose_files(all, {}, "ann/a at main").value().size(), 3U);
  const auto chosen = choose_files(all, {"c", "a"}, "ann/a at main");
  ASSERT_TRUE(chosen);
  EXPECT_EQ(paths_of(*chosen), (std::vector<std::string>{"a", "c"}));
  const auto missing = choose_files(all, {"a", "d"}, "ann/a at main");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().rule, "HB-8");
  EXPECT_NE(missing.error().message.find("ann/a at main"), std::string::npos);
  EXPECT_NE(missing.error().message.find('d'), std::string::npos);
  EXPECT_FALSE(choose_files(all, {"a", "a"}, "ann/a at main"));
}

}  // namespace
}  // namespace ferrule::hub
