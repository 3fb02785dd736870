// SPDX-License-Identifier: Apache-2.0
#include "io/transaction/directory_reader.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <vector>

#include "temp_dir.hpp"

namespace ferrule::io {
namespace {

using test::TempDir;
using test::write_file;

TEST(DirectoryReader, ListsSortedNamesTwice) {
  TempDir dir;
  write_file(dir / "b", "");
  write_file(dir / ".a", "");
  auto reader = DirectoryReader::open(dir.path());
  ASSERT_TRUE(reader);
  const std::vector<std::string> expected = {".a", "b"};
  EXPECT_EQ(reader->names().value(), expected);
  EXPECT_EQ(reader->names().value(), expected);
}

TEST(DirectoryReader, AbsentFileIsAnAnswer) {
  TempDir dir;
  auto reader = DirectoryReader::open(dir.path());
  ASSERT_TRUE(reader);
  auto file = reader->open_file("a");
  ASSERT_TRUE(file);
  EXPECT_FALSE(file->has_value());
}

TEST(DirectoryReader, RefusesNamesThatLeadElsewhere) {
  TempDir dir;
  auto reader = DirectoryReader::open(dir.path());
  ASSERT_TRUE(reader);
  for (std::string_view name : {"", ".", "..", "a/b", "/etc/passwd"}) {
    EXPECT_EQ(reader->open_file(name).error().code, ErrorCode::kInvalidArgument) << name;
  }
}

TEST(DirectoryReader, StaysWithTheGenerationItOpened) {
  TempDir dir;
  write_file(dir / "d/a", "old");
  write_file(dir / "new/a", "new");
  auto reader = DirectoryReader::open(dir / "d");
  ASSERT_TRUE(reader);
  EXPECT_FALSE(reader->was_replaced());
  std::filesystem::rename(dir / "d", dir / "gone");
  EXPECT_TRUE(reader->was_replaced());
  std::filesystem::rename(dir / "new", dir / "d");
  EXPECT_TRUE(reader->was_replaced());
  auto file = reader->open_file("a");
  ASSERT_TRUE(file);
  EXPECT_EQ((*file)->read_text(10).value(), "old");
}

TEST(DirectoryReader, RefusesWhatIsNoDirectory) {
  TempDir dir;
  write_file(dir / "file", "");
  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(DirectoryReader::open(dir / "file").error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(DirectoryReader::open(dir / "fifo").error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(DirectoryReader::open(dir / "none").error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace ferrule::io
