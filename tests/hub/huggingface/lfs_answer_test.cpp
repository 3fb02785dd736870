// SPDX-License-Identifier: Apache-2.0
#include "hub/huggingface/lfs_answer.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>

#include "hub/transport/answer.hpp"

namespace ferrule::hub {
namespace {

constexpr const char* kEndpoint = "http://hub:1";

PushFile weights() {
  PushFile file{.path = "adapter_model.safetensors", .file = {}, .size = 10};
  file.large = true;
  file.sha256 = std::string(64, 'a');
  return file;
}

Json json_of(const std::string& text) {
  auto json = parse_json(text);
  EXPECT_TRUE(json) << text;
  return json ? std::move(*json) : Json();
}

TEST(HubLfsAnswers, TheObjectIsFoundByItsDigest) {
  const auto answer = json_of(R"({"objects": [{"oid": "other"}, {"oid": ")" + weights().sha256 +
                              R"(", "size": 10}]})");
  const auto object = object_for(answer, weights());
  ASSERT_TRUE(object);
  EXPECT_EQ(size_member(*object, "size"), 10U);
}

TEST(HubLfsAnswers, ARefusalOrSilenceIsAnErrorOfTheFile) {
  const auto refused =
      object_for(json_of(R"({"objects": [{"oid": ")" + weights().sha256 +
                         R"(", "error": {"code": 422, "message": "too large"}}]})"),
                 weights());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().rule, "HB-18");
  EXPECT_EQ(refused.error().http_status, 422);
  EXPECT_EQ(refused.error().path, weights().path);
  EXPECT_NE(refused.error().message.find("too large"), std::string::npos);
  for (const auto* text :
       {"{}", "[]", R"({"objects": {}})", R"({"objects": [{"oid": "other"}]})"}) {
    const auto silent = object_for(json_of(text), weights());
    ASSERT_FALSE(silent) << text;
    EXPECT_EQ(silent.error().rule, "HB-18") << text;
  }
}

TEST(HubLfsAnswers, AnActionHasAnAddressHeadersAndAnEnd) {
  const auto before = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  const auto found = action(json_of(R"({"actions": {"upload": {
      "href": "https://huggingface.co/lfs/a", "header": {"x": "1", "n": 2, "skipped": [3]},
      "expires_in": 900}}})"),
                            "upload", kEndpoint);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->href, "http://hub:1/lfs/a");  // Named by its public host.
  ASSERT_EQ(found->headers.size(), 2U);
  EXPECT_EQ(found->headers[0], (std::pair<std::string, std::string>("x", "1")));
  EXPECT_EQ(found->headers[1], (std::pair<std::string, std::string>("n", "2")));
  EXPECT_GE(found->expires, before + 900);
}

TEST(HubLfsAnswers, ALifeThatNoAddressHasIsCutOff) {
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  const auto found = action(
      json_of(R"({"actions": {"upload": {"href": "a", "expires_in": 9000000000000000000}}})"),
      "upload", kEndpoint);
  ASSERT_TRUE(found);
  EXPECT_LT(found->expires, now + 8 * 24 * 3600);
  EXPECT_EQ(
      action(json_of(R"({"actions": {"upload": {"href": "a"}}})"), "upload", kEndpoint)->expires,
      0);
}

TEST(HubLfsAnswers, WithoutAnActionNothingIsToBeDone) {
  for (const auto* text : {"{}", R"({"actions": []})", R"({"actions": {"verify": {}}})",
                           R"({"actions": {"upload": "https://a/"}})"}) {
    EXPECT_FALSE(action(json_of(text), "upload", kEndpoint)) << text;
  }
}

TEST(HubLfsAnswers, PartsAreOrderedByNumber) {
  Action upload;
  upload.href = "https://hub/complete";
  upload.expires = 7;
  upload.headers = {{"chunk_size", "100"},
                    {"00010", "https://s3/10"},
                    {"00009", "https://s3/9"},
                    {"Content-Type", "x"}};
  const auto parts = read_parts(upload);
  ASSERT_TRUE(parts);
  EXPECT_EQ(parts->chunk, 100U);
  EXPECT_EQ(parts->complete, "https://hub/complete");
  EXPECT_EQ(parts->expires, 7);
  ASSERT_EQ(parts->addresses.size(), 2U);
  EXPECT_EQ(parts->addresses.begin()->first, 9U);
  EXPECT_EQ(parts->addresses.at(10), "https://s3/10");
}

TEST(HubLfsAnswers, WithoutAChunkSizeTheUploadIsOneRequest) {
  Action upload;
  upload.headers = {{"1", "https://s3/1"}};
  EXPECT_FALSE(read_parts(upload));
  upload.headers = {{"chunk_size", "many"}, {"1", "https://s3/1"}};
  ASSERT_TRUE(read_parts(upload));
  EXPECT_EQ(read_parts(upload)->chunk, 0U);  // For LfsTransfer to refuse.
}

}  // namespace
}  // namespace ferrule::hub
