// SPDX-License-Identifier: Apache-2.0
#include "hub/huggingface/commit.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "ferrule/text_file.hpp"
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

}  // namespace
}  // namespace ferrule::hub
