// SPDX-License-Identifier: Apache-2.0
#include "io/remove_tree.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include "io/faults.hpp"
#include "io/unique_fd.hpp"
#include "temp_dir.hpp"

namespace ferrule::io {
namespace {

namespace fs = std::filesystem;

UniqueFd opened(const fs::path& path) {
  return UniqueFd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

TEST(RemoveTree, RemovesFoldersFilesAndLinksButNotWhatTheyLeadTo) {
  const test::TempDir dir;
  test::write_file(dir / "keep/f", "x");
  test::write_file(dir / "go/a/b/f", "x");
  fs::create_directory_symlink("../keep", dir / "go/link");
  ASSERT_EQ(::mkfifo((dir / "go/fifo").c_str(), 0600), 0);
  fs::permissions(dir / "go/a/b", fs::perms::owner_read | fs::perms::owner_exec);
  const auto fd = opened(dir.path());
  ASSERT_TRUE(remove_tree(fd.get(), "go", dir.path()));
  EXPECT_FALSE(fs::exists(dir / "go"));
  EXPECT_TRUE(fs::exists(dir / "keep/f"));
  fs::create_directory_symlink("keep", dir / "link");
  ASSERT_TRUE(remove_tree(fd.get(), "link", dir.path()));
  EXPECT_TRUE(fs::exists(dir / "keep/f"));
  EXPECT_TRUE(remove_tree(fd.get(), "none", dir.path()));
}

TEST(RemoveTree, FailuresAreReported) {
  const test::TempDir dir;
  test::write_file(dir / "go/f", "x");
  const auto fd = opened(dir.path());
  const test::Faults faults(
      [](const test::Call& call) { return call.name == "unlinkat" ? EIO : 0; });
  EXPECT_EQ(remove_tree(fd.get(), "go", dir.path()).error().system_errno, EIO);
}

TEST(DiscardTree, RemovesAFileOrAFolder) {
  const test::TempDir dir;
  test::write_file(dir / "folder/a/f", "x");
  test::write_file(dir / "file", "x");
  EXPECT_TRUE(discard_tree(dir / "folder"));
  EXPECT_TRUE(discard_tree(dir / "file"));
  EXPECT_TRUE(discard_tree(dir / "none"));
  EXPECT_TRUE(fs::is_empty(dir.path()));
}

}  // namespace
}  // namespace ferrule::io
