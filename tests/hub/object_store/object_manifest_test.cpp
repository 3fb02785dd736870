// SPDX-License-Identifier: Apache-2.0
#include "hub/object_store/object_manifest.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "hub/transport/xml.hpp"
#include "io/digest.hpp"

namespace ferrule::hub {
namespace {

const std::string kSha(64, 'b');

TEST(HubManifest, IsReadBack) {
  PushFile weights{.path = "sub/w", .file = {}, .size = 9};
  weights.sha256 = kSha;
  const auto text = manifest_text({weights});
  EXPECT_EQ(text,
            "{\n  \"format_version\": 1,\n  \"files\": {\n    \"sub/w\": {\n      \"size\": 9,\n"
            "      \"sha256\": \"" +
                kSha + "\"\n    }\n  }\n}\n");
  const auto files = parse_manifest(text, "s3://b/a");
  ASSERT_TRUE(files);
  ASSERT_EQ(files->size(), 1U);
  EXPECT_EQ(files->front().path, "sub/w");
  EXPECT_EQ(files->front().size, 9U);
  EXPECT_EQ(files->front().etag(), kSha);
}

TEST(HubManifest, WhatIsNotAManifestIsRefusedByTheStoresName) {
  const auto entry = [](const std::string& path, const std::string& members) {
    return R"({"format_version": 1, "files": {")" + path + R"(": {)" + members + "}}}";
  };
  for (const auto& [text, rule] : std::vector<std::pair<std::string, std::string>>{
           {"", "HB-12"},
           {"[]", "HB-12"},
           {R"({"format_version": 2, "files": {}})", "HB-12"},
           {R"({"format_version": 1, "files": []})", "HB-12"},
           {entry("a", ""), "HB-12"},
           {entry("a", R"("size": 1)"), "HB-12"},
           {entry("a", R"("size": -1, "sha256": ")" + kSha + "\""), "HB-12"},
           {entry("a", R"("size": 1, "sha256": "ABC")"), "HB-12"},
           {entry("../a", R"("size": 1, "sha256": ")" + kSha + "\""), "HB-14"}}) {
    const auto refused = parse_manifest(text, "s3://b/a");
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().rule, rule) << text;
  }
  EXPECT_NE(parse_manifest("", "s3://b/a").error().message.find("s3://b/a"), std::string::npos);
}

std::string contents(const std::string& key, const std::string& size) {
  return "<Contents><Key>" + xml_escape(key) + "</Key><Size>" + size + "</Size></Contents>";
}

TEST(HubManifest, AListingOfS3IsTakenWithoutFoldersAndOurOwnFiles) {
  std::vector<RemoteFile> files;
  const auto xml = "<L>" + contents("p/", "0") + contents("p/a&b.txt", "3") +
                   contents("p/sub/", "0") + contents("p/sub/w", "9") +
                   contents("p/ferrule-manifest.json", "7") + contents("p/.ferrule/" + kSha, "8") +
                   "</L>";
  ASSERT_TRUE(take_objects(xml, "p/", files));
  ASSERT_EQ(files.size(), 2U);
  EXPECT_EQ(files[0].path, "a&b.txt");
  EXPECT_EQ(files[0].size, 3U);
  EXPECT_EQ(files[1].path, "sub/w");
}

TEST(HubManifest, AListingOfS3ThatMakesNoSenseIsRefused) {
  for (const auto& xml :
       {contents("q/a", "3"), contents("p/a", "many"), contents("p/a", "-1"), contents("p/a", ""),
        std::string("<Key>p/a</Key>"), contents("p/a", "99999999999999999999")}) {
    std::vector<RemoteFile> files;
    const auto refused = take_objects(xml, "p/", files);
    ASSERT_FALSE(refused) << xml;
    EXPECT_EQ(refused.error().rule, "HB-12") << xml;
  }
  std::vector<RemoteFile> files;
  EXPECT_TRUE(take_objects("", "p/", files));
  EXPECT_TRUE(files.empty());
}

TEST(HubManifest, NamesOfKeptObjectsAndOfNothing) {
  EXPECT_EQ(kept_name(kSha), ".ferrule/" + kSha);
  EXPECT_EQ(kEmptySha256, io::sha256_hex(std::string()));
}

}  // namespace
}  // namespace ferrule::hub
