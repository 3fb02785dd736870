// SPDX-License-Identifier: Apache-2.0
#include "ferrule/text_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "temp_dir.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;
using std::string_literals::operator""s;

TEST(TextFiles, AreReadToTheByte) {
  const test::TempDir dir;
  const auto text = "a\0b\r\n\xff"s;
  test::write_file(dir / "t", text);
  EXPECT_EQ(read_text_file(dir / "t").value(), text);
}

TEST(TextFiles, AreReadUpToTheLimit) {
  const test::TempDir dir;
  test::write_file(dir / "t", "abc");
  EXPECT_EQ(read_text_file(dir / "t", 3).value(), "abc");
  const auto read = read_text_file(dir / "t", 2);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kLimitExceeded);
  EXPECT_EQ(read.error().path, (dir / "t").string());
}

TEST(TextFiles, ReadingRefusesWhatIsNotAFile) {
  const test::TempDir dir;
  EXPECT_EQ(read_text_file(dir / "none").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(read_text_file(dir.path()).error().code, ErrorCode::kUnsupported);
  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(read_text_file(dir / "fifo").error().code, ErrorCode::kUnsupported);
}

TEST(TextFiles, AreReplacedWholeAndKeepTheirMode) {
  const test::TempDir dir;
  test::write_file(dir / "t", "a long old text");
  fs::permissions(dir / "t", fs::perms::owner_read | fs::perms::owner_write);
  ASSERT_TRUE(write_text_file(dir / "t", "new", Durability::kFast));
  EXPECT_EQ(test::read_file(dir / "t"), "new");
  EXPECT_EQ(fs::status(dir / "t").permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()), 1);
}

TEST(TextFiles, AreNotWrittenIntoADirectory) {
  const test::TempDir dir;
  fs::create_directory(dir / "d");
  EXPECT_FALSE(write_text_file(dir / "d", "x"));
  EXPECT_TRUE(fs::is_directory(dir / "d"));
}

TEST(BaseConfigs, AreFoundByFileOrDirectory) {
  const test::TempDir dir;
  test::write_file(dir / "config.json", R"({"model_type": "llama", "x": NaN})");
  for (const auto& path : {dir.path(), dir / "config.json"}) {
    const auto config = read_base_config(path);
    ASSERT_TRUE(config) << config.error().to_string();
    EXPECT_EQ(*config->find("model_type")->if_string(), "llama");
  }
}

TEST(BaseConfigs, AreJsonObjects) {
  const test::TempDir dir;
  test::write_file(dir / "config.json", "[]");
  auto config = read_base_config(dir.path());
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().rule, "CF-1");
  EXPECT_EQ(config.error().path, (dir / "config.json").string());
  test::write_file(dir / "config.json", "{");
  config = read_base_config(dir.path());
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().rule, "CF-1");
  EXPECT_EQ(config.error().path, (dir / "config.json").string());
}

TEST(BaseConfigs, MissingOnesAreNamed) {
  const test::TempDir dir;
  const auto config = read_base_config(dir.path());
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(config.error().path, (dir / "config.json").string());
}

}  // namespace
}  // namespace ferrule
