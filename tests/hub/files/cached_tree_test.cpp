// SPDX-License-Identifier: Apache-2.0
#include "hub/files/cached_tree.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ferrule::hub {
namespace {

TEST(HubCachedTree, TreesAreReadBackAndHostileOnesRefused) {
  const std::string blob(40, 'a');
  const std::string sha(64, 'b');
  const std::vector<RemoteFile> files = {{.path = "a.txt", .size = 3, .blob = blob},
                                         {.path = "w", .size = 9, .blob = blob, .sha256 = sha}};
  const auto back = parse_tree(tree_text(files));
  ASSERT_TRUE(back);
  ASSERT_EQ(back->size(), 2U);
  EXPECT_EQ((*back)[1].etag(), sha);
  for (const auto* path : {"../x", "/x", "a\\\\b", "a.txt/../../b"}) {
    const auto text = R"({"format_version": 1, "files": {")" + std::string(path) +
                      R"(": {"size": 1, "blob_id": ")" + blob + "\"}}}";
    const auto refused = parse_tree(text);
    ASSERT_FALSE(refused) << path;
    EXPECT_EQ(refused.error().rule, "HB-14") << path;
  }
}

TEST(HubCachedTree, IsHuggingfaceHubsText) {
  const std::string blob(40, 'a');
  const std::string sha(64, 'b');
  const std::string xet(64, 'c');
  EXPECT_EQ(tree_text({{.path = "a.txt", .size = 3, .blob = blob},
                       {.path = "w", .size = 9, .blob = blob, .sha256 = sha, .xet = xet}}),
            "{\n \"format_version\": 1,\n \"files\": {\n  \"a.txt\": {\n   \"size\": 3,\n"
            "   \"blob_id\": \"" +
                blob + "\"\n  },\n  \"w\": {\n   \"size\": 9,\n   \"blob_id\": \"" + blob +
                "\",\n   \"lfs_sha256\": \"" + sha +
                "\",\n   \"lfs_size\": 9,\n   \"xet_hash\": \"" + xet + "\"\n  }\n }\n}");
}

TEST(HubCachedTree, OtherFormatsAreRefused) {
  for (const auto* text : {"", "[]", "{}", R"({"format_version": 2, "files": {}})",
                           R"({"format_version": 1, "files": []})", R"({"files": {}})",
                           R"({"format_version": 1, "files": {"a": {"size": 1}}})"}) {
    EXPECT_FALSE(parse_tree(text)) << text;
  }
  const auto empty = parse_tree(R"({"format_version": 1, "files": {}})");
  ASSERT_TRUE(empty);
  EXPECT_TRUE(empty->empty());
}

}  // namespace
}  // namespace ferrule::hub
