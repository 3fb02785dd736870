// SPDX-License-Identifier: Apache-2.0
#include "hub/huggingface/commit.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "ferrule/text_file.hpp"
#include "hub/files/cached_tree.hpp"
#include "hub/files/digest_memo.hpp"
#include "hub/files/remote_file.hpp"
#include "hub/transport/answer.hpp"
#include "temp_dir.hpp"

namespace ferrule::hub {
namespace {

std::string read_all(Body& body) {
  std::string text;
  std::array<std::byte, 7> buffer{};
  for (;;) {
    const auto got = body.read(buffer);
    if (!got || *got == 0) return text;
    text.append(reinterpret_cast<const char*>(buffer.data()), *got);
  }
}

TEST(HubCommit, Base64IsRfc4648) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
}

TEST(HubCommit, LinesAreOneJsonObjectEachAndTheSizeIsKnownBefore) {
  const test::TempDir folder;
  ASSERT_TRUE(write_text_file(folder.path() / "f", "hello\n"));
  ASSERT_TRUE(write_text_file(folder.path() / "empty", ""));
  const PushFile regular{.path = "dir/\"q\".txt", .file = folder.path() / "f", .size = 6};
  const PushFile empty{.path = "empty", .file = folder.path() / "empty"};
  PushFile large{.path = "w.bin", .file = "nowhere", .size = 42};
  large.large = true;
  large.sha256 = std::string(64, 'a');
  const std::array<const PushFile*, 3> files = {&regular, &empty, &large};
  CommitBody body({"title", "text"}, std::string(40, 'b'), files);
  const auto text = read_all(body);
  EXPECT_EQ(text.size(), body.size());
  EXPECT_EQ(
      text,
      R"({"key":"header","value":{"summary":"title","description":"text","parentCommit":")" +
          std::string(40, 'b') + "\"}}\n" +
          R"({"key":"file","value":{"content":"aGVsbG8K","path":"dir/\"q\".txt","encoding":"base64"}})"
          "\n"
          R"({"key":"file","value":{"content":"","path":"empty","encoding":"base64"}})"
          "\n"
          R"({"key":"lfsFile","value":{"path":"w.bin","algo":"sha256","oid":")" +
          std::string(64, 'a') +
          R"(","size":42}})"
          "\n");
  ASSERT_TRUE(body.rewind());
  EXPECT_EQ(read_all(body), text);
}

TEST(HubDigests, AreGitsAndSha256) {
  const test::TempDir folder;
  const auto path = folder.path() / "f";
  ASSERT_TRUE(write_text_file(path, "hello\n"));
  DigestMemo memo(folder.path() / "home");
  std::array<DigestJob, 2> jobs = {DigestJob{path, Digest::kGitBlob},
                                   DigestJob{path, Digest::kSha256}};
  ASSERT_TRUE(digest_files(jobs, memo));
  EXPECT_EQ(jobs[0].sum, "ce013625030ba8dba906f756967f9e9ca394464a");  // git hash-object
  EXPECT_EQ(jobs[1].sum, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
}

TEST(HubDigests, AFileChangedJustNowIsNotRemembered) {
  DigestMemo memo({});
  const auto now = std::chrono::system_clock::from_time_t(2'000'000'000);
  const std::int64_t then = 2'000'000'000'000'000'000;
  const std::string sum(64, 'c');
  const io::FileIdentity fresh{1, 2, 3, then - 1'000'000 + 1, then - 1'000'000 + 1};
  const io::FileIdentity old{1, 2, 3, then - 900'000'001, then - 900'000'001};
  memo.note(fresh, Digest::kSha256, sum, now);
  memo.note(old, Digest::kSha256, sum, now);
  EXPECT_EQ(memo.find(fresh, Digest::kSha256), std::nullopt);
  EXPECT_EQ(memo.find(old, Digest::kSha256), sum);
  EXPECT_EQ(memo.find(old, Digest::kGitBlob), std::nullopt);
}

TEST(HubListing, TreesAreReadBackAndHostileOnesRefused) {
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
  std::vector<RemoteFile> both = {{.path = "a", .blob = blob}, {.path = "a/b", .blob = blob}};
  EXPECT_EQ(check_listing(both).error().rule, "HB-14");
}

TEST(HubAnswers, BombsOfJsonAreRefusedBeforeTheyGrow) {
  EXPECT_FALSE(parse_json(std::string(100, '[') + std::string(100, ']')));
  EXPECT_FALSE(parse_json("[" + std::string(300'000, ',') + "1]"));
  EXPECT_TRUE(parse_json(R"({"a": [1, 2, {"b": null}]})"));
}

}  // namespace
}  // namespace ferrule::hub
