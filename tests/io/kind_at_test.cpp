// SPDX-License-Identifier: Apache-2.0
#include "io/kind_at.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "io/faults.hpp"
#include "io/remove_tree.hpp"
#include "temp_dir.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

using io::EntryKind;

class KindAt : public testing::Test {
 protected:
  KindAt() {
    fs::create_directories(root() / "folder" / "below");
    std::ofstream(root() / "file") << "text";
    std::ofstream(root() / "folder" / "below" / "file") << "text";
    fs::create_directory_symlink("folder", root() / "link");
    fs::create_symlink("nothing", root() / "broken");
    ::mkfifo((root() / "fifo").c_str(), 0600);
  }

  const fs::path& root() const { return temp_.path(); }

  test::TempDir temp_;
};

TEST_F(KindAt, FollowsLinks) {
  EXPECT_EQ(io::kind_at(root() / "file").value(), EntryKind::kFile);
  EXPECT_EQ(io::kind_at(root() / "folder").value(), EntryKind::kFolder);
  EXPECT_EQ(io::kind_at(root() / "link").value(), EntryKind::kFolder);
  EXPECT_EQ(io::kind_at(root() / "fifo").value(), EntryKind::kOther);
}

TEST_F(KindAt, IsNothingIfNoFileIsThere) {
  EXPECT_EQ(io::kind_at(root() / "none").value(), EntryKind::kNothing);
  EXPECT_EQ(io::kind_at(root() / "broken").value(), EntryKind::kNothing);
  EXPECT_EQ(io::kind_at(root() / "file" / "below").value(), EntryKind::kNothing);
}

TEST_F(KindAt, ReportsWhatTheSystemRefuses) {
  const test::Faults faults(
      [](const test::Call& call) { return call.name == "fstatat" ? EIO : 0; });
  const auto kind = io::kind_at(root() / "file");
  ASSERT_FALSE(kind);
  EXPECT_EQ(kind.error().code, ErrorCode::kIo);
  EXPECT_EQ(kind.error().path, (root() / "file").string());
  EXPECT_FALSE(io::same_directory(root(), root()));
}

TEST_F(KindAt, OneDirectoryHasManyNames) {
  EXPECT_TRUE(io::same_directory(root() / "folder", root() / "link").value());
  EXPECT_TRUE(io::same_directory(root() / "folder", root() / "folder" / "below" / "..").value());
  EXPECT_FALSE(io::same_directory(root() / "folder", root()).value());
  EXPECT_FALSE(io::same_directory(root() / "none", root() / "none").value());
}

TEST_F(KindAt, DiscardsAFolderWithAllItHolds) {
  EXPECT_TRUE(io::discard_tree(root() / "folder"));
  EXPECT_FALSE(fs::exists(root() / "folder"));
  EXPECT_TRUE(io::discard_tree(root() / "folder"));
  EXPECT_TRUE(io::discard_tree(root() / "file"));
  EXPECT_FALSE(fs::exists(root() / "file"));
}

}  // namespace
}  // namespace ferrule
