// SPDX-License-Identifier: Apache-2.0
#include "io/walk.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <mutex>
#include <set>
#include <string>

#include "temp_dir.hpp"

namespace ferrule::io {
namespace {

namespace fs = std::filesystem;

TEST(ListByKind, LinksToFilesAreFilesAndEverythingElseIsLeftOut) {
  const test::TempDir dir;
  test::write_file(dir / "file", "x");
  fs::create_directory(dir / "folder");
  fs::create_symlink("file", dir / "link");
  fs::create_symlink("folder", dir / "folder_link");
  fs::create_symlink("nowhere", dir / "dangling");
  fs::create_symlink("loop", dir / "loop");
  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
  auto listing = list_by_kind(dir.path());
  ASSERT_TRUE(listing) << listing.error().to_string();
  std::sort(listing->files.begin(), listing->files.end());
  EXPECT_EQ(listing->files, (std::vector<std::string>{"file", "link"}));
  EXPECT_EQ(listing->directories, std::vector<std::string>{"folder"});
}

TEST(ListByKind, MissingAndNoDirectory) {
  const test::TempDir dir;
  test::write_file(dir / "file", "x");
  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(list_by_kind(dir / "missing").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(list_by_kind(dir / "file").error().system_errno, ENOTDIR);
  EXPECT_EQ(list_by_kind(dir / "fifo").error().system_errno, ENOTDIR);
}

class WalkOnThreads : public testing::TestWithParam<unsigned> {};

TEST_P(WalkOnThreads, VisitsEveryDirectoryOnceAndEndsAtLinks) {
  const test::TempDir dir;
  std::set<std::string> expected = {dir.path().string()};
  for (int i = 0; i < 20; ++i) {
    for (int j = 0; j < 5; ++j) {
      const auto path = dir / std::to_string(i) / std::to_string(j) / "leaf";
      test::write_file(path / "file", "x");
      expected.insert(
          {path.string(), path.parent_path().string(), path.parent_path().parent_path().string()});
    }
  }
  fs::create_directory_symlink(dir.path(), dir / "up");
  std::mutex mutex;
  std::multiset<std::string> visited;
  const auto result = walk_directories(dir.path(), GetParam(), [&](const auto& path, const auto&) {
    const std::lock_guard lock(mutex);
    visited.insert(path.string());
  });
  ASSERT_TRUE(result) << result.error().to_string();
  EXPECT_EQ(result->directories, expected.size());
  EXPECT_TRUE(result->unreadable.empty());
  EXPECT_EQ(visited, std::multiset<std::string>(expected.begin(), expected.end()));
}

INSTANTIATE_TEST_SUITE_P(Threads, WalkOnThreads, testing::Values(1U, 2U, 8U, 0U));

TEST(Walk, FailsOnlyWhereTheRootCannotBeListed) {
  const test::TempDir dir;
  const auto result = walk_directories(dir / "missing", 2, [](const auto&, const auto&) {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace ferrule::io
