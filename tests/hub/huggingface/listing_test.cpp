// SPDX-License-Identifier: Apache-2.0
#include "hub/huggingface/listing.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "hub/transport/answer.hpp"

namespace ferrule::hub {
namespace {

const std::string kBlob(40, 'a');
const std::string kSha(64, 'b');

Result<std::vector<RemoteFile>> read(const std::string& text) {
  const auto json = parse_json(text);
  EXPECT_TRUE(json) << text;
  std::vector<RemoteFile> files;
  if (auto taken = take_page(*json, "the list", files); !taken) return taken.error();
  return files;
}

TEST(HubListing, APageHoldsSmallAndLargeFilesAndFolders) {
  const auto files = read(R"([{"type": "directory", "oid": "x", "path": "sub", "size": 0},
               {"type": "file", "oid": ")" +
                          kBlob + R"(", "size": 3, "path": "a.txt"},
               {"type": "file", "oid": ")" +
                          kBlob + R"(", "size": 135, "path": "sub/w", "lfs": {"oid": ")" + kSha +
                          R"(", "size": 900, "pointerSize": 135}, "xetHash": ")" + kSha + R"("}])");
  ASSERT_TRUE(files) << files.error().to_string();
  ASSERT_EQ(files->size(), 2U);
  EXPECT_EQ((*files)[0].path, "a.txt");
  EXPECT_EQ((*files)[0].etag(), kBlob);
  EXPECT_EQ((*files)[0].size, 3U);
  EXPECT_EQ((*files)[1].etag(), kSha);
  EXPECT_EQ((*files)[1].size, 900U);
  EXPECT_EQ((*files)[1].xet, kSha);
}

TEST(HubListing, WhatIsNotAListingIsRefused) {
  const auto entry = [](const std::string& members) {
    return R"([{"type": "file", "path": "a")" + members + "}]";
  };
  const std::vector<std::string> bad = {
      "{}",
      entry(""),
      entry(R"(, "oid": ")" + kBlob + "\""),
      entry(R"(, "size": 3)"),
      entry(R"(, "size": -3, "oid": ")" + kBlob + "\""),
      entry(R"(, "size": 3, "oid": "../../x")"),
      entry(R"(, "size": 3, "oid": ")" + kBlob + R"(", "lfs": {})"),
      entry(R"(, "size": 3, "oid": ")" + kBlob + R"(", "lfs": {"size": 3, "oid": ""})")};
  for (const auto& text : bad) {
    const auto refused = read(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().rule, "HB-12") << text;
  }
}

TEST(HubListing, TheNextPageIsTheLinkOfThatRelation) {
  EXPECT_EQ(next_page(R"(<https://h/api?cursor=x>; rel="next")"), "https://h/api?cursor=x");
  EXPECT_EQ(next_page(R"(<https://h/1>; rel="first", <https://h/2>; rel="next")"), "https://h/2");
  for (const auto* none :
       {"", R"(<https://h/1>; rel="prev")", R"(rel="next")", R"(https://h/1; rel="next")",
        R"(<https://h/1; rel="next")", R"(rel="next"; <https://h/1>)"}) {
    EXPECT_EQ(next_page(none), "") << none;
  }
}

}  // namespace
}  // namespace ferrule::hub
