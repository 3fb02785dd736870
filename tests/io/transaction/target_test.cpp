// SPDX-License-Identifier: Apache-2.0
#include "io/transaction/target.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "temp_dir.hpp"

namespace ferrule::io {
namespace {

namespace fs = std::filesystem;
using std::string_view_literals::operator""sv;

TEST(PlainPaths, StayBelowTheirDirectory) {
  for (const std::string_view good : {"a", "a/b", ".a", "a..b", "..a/b..", "a b/\xff", "..."}) {
    EXPECT_TRUE(is_plain_path(good)) << good;
  }
  const std::string_view outside[] = {"",    "/",    "/a",   "a/",    "a//b",   ".",    "..",
                                      "./a", "../a", "a/..", "a/./b", "a/../b", "\0"sv, "a\0b"sv};
  for (const auto bad : outside) {
    EXPECT_FALSE(is_plain_path(bad)) << bad;
  }
}

TEST(Targets, AreSplitIntoWhatExistsAndWhatIsMissing) {
  const test::TempDir dir;
  const auto real = fs::canonical(dir.path()).string();
  fs::create_directory(dir / "there");
  fs::create_directory_symlink("there", dir / "link");
  const struct {
    const char* path;
    std::string parent;
    std::string name;
    std::string below;
    bool exists;
  } rows[] = {
      {"there", real, "there", "", true},
      {"there/", real, "there", "", true},
      {"there/../there/.", real, "there", "", true},
      {"link", real, "there", "", true},
      {"new", real, "new", "", false},
      {"new/", real, "new", "", false},
      {"new/b/out", real, "new", "b/out", false},
      {"link/new", real + "/there", "new", "", false},
  };
  for (const auto& row : rows) {
    const auto target = resolve_target(dir / row.path);
    ASSERT_TRUE(target) << row.path << ": " << target.error().to_string();
    EXPECT_EQ(target->parent_path, row.parent) << row.path;
    EXPECT_EQ(target->name, row.name) << row.path;
    EXPECT_EQ(target->below, row.below) << row.path;
    EXPECT_EQ(static_cast<bool>(target->directory), row.exists) << row.path;
  }
}

TEST(Targets, TheRootHasNoName) {
  const auto target = resolve_target("/");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->name, "");
  EXPECT_EQ(target->parent_path, "/");
  EXPECT_TRUE(still_there(*target).value());
}

TEST(Targets, AreNoFilesAndNoLinksThatLeadNowhere) {
  const test::TempDir dir;
  test::write_file(dir / "file", "x");
  fs::create_symlink("nowhere", dir / "dangling");
  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
  const struct {
    const char* path;
    ErrorCode code;
  } rows[] = {
      {"file", ErrorCode::kInvalidArgument},     {"file/below", ErrorCode::kInvalidArgument},
      {"dangling", ErrorCode::kInvalidArgument}, {"fifo", ErrorCode::kUnsupported},
      {"new/../x", ErrorCode::kNotFound},
  };
  for (const auto& row : rows) {
    const auto target = resolve_target(dir / row.path);
    ASSERT_FALSE(target) << row.path;
    EXPECT_EQ(target.error().code, row.code) << row.path << ": " << target.error().message;
    EXPECT_EQ(target.error().rule, "TX-10") << row.path;
  }
  EXPECT_EQ(resolve_target("").error().code, ErrorCode::kInvalidArgument);
}

TEST(Targets, NoticeThatTheirNameLeadsElsewhere) {
  const test::TempDir dir;
  fs::create_directory(dir / "a");
  const auto there = resolve_target(dir / "a");
  const auto missing = resolve_target(dir / "b");
  ASSERT_TRUE(there && missing);
  EXPECT_TRUE(still_there(*there).value());
  EXPECT_TRUE(still_there(*missing).value());
  fs::rename(dir / "a", dir / "b");
  EXPECT_FALSE(still_there(*there).value());
  EXPECT_FALSE(still_there(*missing).value());
  fs::create_directory(dir / "a");
  EXPECT_FALSE(still_there(*there).value());
}

TEST(Parents, AreReachedThroughFoldersOnly) {
  const test::TempDir dir;
  fs::create_directories(dir / "a/b");
  fs::create_directory_symlink("a", dir / "link");
  const UniqueFd fd(::open(dir.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  EXPECT_EQ(open_parent(fd.get(), "f", dir.path()).value().name, "f");
  EXPECT_EQ(open_parent(fd.get(), "a/b/f", dir.path()).value().name, "f");
  EXPECT_EQ(open_parent(fd.get(), "a/none/f", dir.path()).error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(open_parent(fd.get(), "link/f", dir.path()));
}

TEST(Folders, OfANameAreMade) {
  const test::TempDir dir;
  fs::create_directory(dir / "a");
  const UniqueFd fd(::open(dir.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_TRUE(make_folders(fd.get(), "a/b/c/file", dir.path()));
  EXPECT_TRUE(fs::is_directory(dir / "a/b/c"));
  EXPECT_FALSE(fs::exists(dir / "a/b/c/file"));
  EXPECT_TRUE(make_folders(fd.get(), "file", dir.path()));
  EXPECT_FALSE(fs::exists(dir / "file"));
}

TEST(MountPoints, AreNotOrdinaryDirectories) {
  const test::TempDir dir;
  const UniqueFd fd(::open(dir.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  EXPECT_FALSE(is_mount_point(fd.get()));
  EXPECT_FALSE(is_mount_point(-1));
}

}  // namespace
}  // namespace ferrule::io
