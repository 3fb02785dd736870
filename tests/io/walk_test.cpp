// SPDX-License-Identifier: Apache-2.0
#include "io/walk.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <mutex>
#include <optional>
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
  EXPECT_EQ(listing->linked, std::vector<std::string>{"folder_link"});
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

TEST_P(WalkOnThreads, VisitsEveryDirectoryOnceAndEndsAtLinksUpwards) {
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
  const auto result = walk_directories(dir.path(),
                                       [&](const auto& path, const auto&) {
                                         const std::lock_guard lock(mutex);
                                         visited.insert(path.string());
                                       },
                                       {.threads = GetParam()});
  ASSERT_TRUE(result) << result.error().to_string();
  EXPECT_EQ(result->directories, expected.size());
  EXPECT_TRUE(result->unreadable.empty());
  EXPECT_EQ(visited, std::multiset<std::string>(expected.begin(), expected.end()));
}

INSTANTIATE_TEST_SUITE_P(Threads, WalkOnThreads, testing::Values(1U, 2U, 8U, 0U));

std::set<std::string> names_visited(const fs::path& root, Stages stages = Stages::kSkip) {
  std::mutex mutex;
  std::set<std::string> visited;
  const auto visit = [&](const fs::path& path, const Listing&) {
    const std::lock_guard lock(mutex);
    EXPECT_TRUE(visited.insert(path.lexically_relative(root).string()).second) << path;
  };
  EXPECT_TRUE(walk_directories(root, visit, {.threads = 2, .stages = stages}));
  return visited;
}

TEST(Walk, FollowsEachLinkToADirectoryUnlessItWasVisited) {
  const test::TempDir dir;
  const auto root = dir / "root";
  test::write_file(dir / "outside" / "below" / "file", "x");
  test::write_file(root / "real" / "file", "x");
  fs::create_directory_symlink(dir / "outside", root / "link");
  fs::create_directory_symlink(dir / "outside" / "below", root / "another");
  fs::create_directory_symlink(root / "real", root / "again");
  fs::create_directory_symlink(root, dir / "outside" / "back");
  fs::create_directory_symlink("/", root / "everything");
  EXPECT_EQ(names_visited(root), (std::set<std::string>{".", "real", "another", "link"}));
}

TEST(Walk, ASaveInProgressIsLeftOutAndANameAloneHidesNothing) {
  const test::TempDir dir;
  const std::string running = ".ferrule-0123456789abcdef";
  const std::string stale = ".ferrule-fedcba9876543210";
  for (const auto& name : {running, stale}) test::write_file(dir / name / "new" / "file", "x");
  const int fd = ::open((dir / running).c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(::flock(fd, LOCK_EX), 0);
  EXPECT_EQ(names_visited(dir.path()), std::set<std::string>{"."});
  EXPECT_EQ(names_visited(dir.path(), Stages::kSkipLocked),
            (std::set<std::string>{".", stale, stale + "/new"}));
  ::close(fd);
}

TEST(Walk, DoesNotEnterWhatIsKnown) {
  const test::TempDir dir;
  for (const auto* name : {"a/below", "b/below", "c"}) fs::create_directories(dir / name);
  fs::create_directory_symlink(dir / "b", dir / "c" / "link");
  std::mutex mutex;
  std::set<std::string> visited;
  const auto result = walk_directories(
      dir.path(),
      [&](const fs::path& path, const Listing& listing) {
        const std::lock_guard lock(mutex);
        visited.insert(path.filename().string());
        struct stat info {};
        EXPECT_EQ(::fstat(listing.fd, &info), 0);
        EXPECT_EQ(info.st_ino, listing.identity.inode);
      },
      {.threads = 2,
       .stages = Stages::kSkip,
       .known = [&](const Unlisted& directories, std::span<std::optional<FileIdentity>> known) {
         ASSERT_EQ(known.size(), directories.names.size());
         EXPECT_TRUE(directories.prefix.starts_with(dir.path().native() + "/"));
         for (std::size_t i = 0; i < known.size(); ++i) {
           if (directories.names[i] != "b") continue;
           const auto way = std::string(directories.way) + directories.names[i];
           struct stat info {};
           EXPECT_EQ(::fstatat(directories.at, way.c_str(), &info, 0), 0);
           known[i] = identity_of(info);
         }
       }});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->directories, 5U);
  EXPECT_EQ(visited, (std::set<std::string>{dir.path().filename().string(), "a", "below", "c"}));
}

TEST(Walk, ADeepTreeDoesNotUseUpTheDescriptors) {
  const test::TempDir dir;
  fs::path deep = dir.path();
  for (int i = 0; i < 300; ++i) {
    fs::create_directories(deep / "other");
    deep /= "d";
  }
  fs::create_directories(deep);
  struct rlimit before {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const struct rlimit few { 200, before.rlim_max };
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  const auto result = walk_directories(dir.path(), [](const auto&, const auto&) {}, {.threads = 2});
  ::setrlimit(RLIMIT_NOFILE, &before);
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->unreadable.empty());
  EXPECT_EQ(result->directories, 601U);
}

TEST(Walk, FailsOnlyIfTheRootCannotBeListed) {
  const test::TempDir dir;
  const auto result = walk_directories(dir / "missing", [](const auto&, const auto&) {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace ferrule::io
