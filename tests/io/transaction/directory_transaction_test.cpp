// SPDX-License-Identifier: Apache-2.0
#include "io/transaction/directory_transaction.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "io/faults.hpp"
#include "io/transaction/directory_reader.hpp"
#include "io/transaction/scene.hpp"

namespace ferrule::test {
namespace {

using io::DirectoryReader;
using io::DirectoryTransaction;

// ------------------------------------------------------------------------------- TX-10: places

struct Place {
  std::string name;
  std::string path;
  ErrorCode code;
};

void PrintTo(const Place& place, std::ostream* out) { *out << place.name; }

class RefusedPlace : public testing::TestWithParam<Place> {};

TEST_P(RefusedPlace, FailsBeforeAnythingChanges) {
  TempDir dir;
  write_file(dir / "file", "x");
  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
  std::filesystem::create_symlink("nowhere/x", dir / "dangling");
  std::filesystem::create_symlink("loop", dir / "loop");
  const Tree before = tree_of(dir.path());
  const std::string path = GetParam().path;
  auto begun = DirectoryTransaction::begin(path.empty() ? "" : dir / path, Durability::kSafe);
  ASSERT_FALSE(begun);
  EXPECT_EQ(begun.error().code, GetParam().code) << begun.error().to_string();
  if (GetParam().code != ErrorCode::kIo) {
    EXPECT_EQ(begun.error().rule, "TX-10");
  }
  EXPECT_EQ(tree_of(dir.path()), before);
}

INSTANTIATE_TEST_SUITE_P(
    Places, RefusedPlace,
    testing::Values(Place{"Empty", "", ErrorCode::kInvalidArgument},
                    Place{"File", "file", ErrorCode::kInvalidArgument},
                    Place{"BelowAFile", "file/out", ErrorCode::kInvalidArgument},
                    Place{"Fifo", "fifo", ErrorCode::kUnsupported},
                    Place{"DanglingLink", "dangling", ErrorCode::kInvalidArgument},
                    Place{"BelowADanglingLink", "dangling/out", ErrorCode::kInvalidArgument},
                    Place{"LoopOfLinks", "loop", ErrorCode::kIo},
                    Place{"UpFromNowhere", "none/../out", ErrorCode::kNotFound},
                    Place{"Nul", std::string("a\0b", 3), ErrorCode::kInvalidArgument}),
    [](const auto& place) { return place.param.name; });

TEST(DirectoryTransaction, ReachesTheDirectoryByAnyPath) {
  for (const std::string path :
       {"out", "out/", "out//", "./out/.", "out/../out", "link", "link/"}) {
    TempDir dir;
    std::filesystem::create_directory(dir / "out");
    std::filesystem::create_symlink("out", dir / "link");
    ASSERT_TRUE(put(dir / path, "a", "x")) << path;
    EXPECT_EQ(read_file(dir / "out/a"), "x") << path;
    EXPECT_TRUE(std::filesystem::is_symlink(dir / "link"));
    EXPECT_EQ(names(dir.path()), (Names{"link", "out"})) << path;
  }
}

TEST(DirectoryTransaction, RefusesNamesThatLeaveTheDirectory) {
  TempDir dir;
  auto begun = DirectoryTransaction::begin(dir / "out", Durability::kSafe);
  ASSERT_TRUE(begun);
  for (const std::string name : {"", "/a", "a/", "a//b", "..", "../a", "a/../b", ".", "a/.",
                                 ".ferrule-stage", ".ferrule-pending/redo"}) {
    const auto created = begun->create(name, "x");
    ASSERT_FALSE(created) << name;
    EXPECT_EQ(created.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(created.error().rule, "TX-10");
    EXPECT_FALSE(begun->remove(name)) << name;
  }
  ASSERT_TRUE(begun->create("a", "x"));
  EXPECT_FALSE(begun->create("a", "x"));
  EXPECT_FALSE(begun->remove("a"));
}

TEST(DirectoryTransaction, RefusesWhatIsInTheWay) {
  TempDir dir;
  std::filesystem::create_directories(dir / "out/folder");
  std::filesystem::create_directories(dir / "elsewhere");
  write_file(dir / "out/file", "x");
  std::filesystem::create_symlink("../elsewhere", dir / "out/link");
  const Tree before = tree_of(dir.path());
  {
    auto begun = DirectoryTransaction::begin(dir / "out", Durability::kSafe);
    ASSERT_TRUE(begun);
    for (const std::string name : {"folder", "file/a", "link/a"}) {
      EXPECT_EQ(begun->create(name, "x").error().code, ErrorCode::kInvalidArgument) << name;
    }
  }
  EXPECT_EQ(tree_of(dir.path()), before);
}

// ------------------------------------------------------------------------- content and the rest

TEST(DirectoryTransaction, AbandonedItLeavesNothing) {
  TempDir dir;
  write_file(dir / "out/a", "old");
  const Tree before = tree_of(dir.path());
  for (const std::string name : {"out", "new", "x/y/z"}) {
    auto begun = DirectoryTransaction::begin(dir / name, Durability::kSafe);
    ASSERT_TRUE(begun);
    ASSERT_TRUE(begun->create("a", "new"));
    ASSERT_TRUE(begun->create("b/c", "new"));
    ASSERT_TRUE(begun->remove("d"));
  }
  EXPECT_EQ(tree_of(dir.path()), before);
}

TEST(DirectoryTransaction, ShowsWhatTheDirectoryHolds) {
  TempDir dir;
  write_file(dir / "out/card", "hello");
  write_file(dir / "out/sub/card", "below");
  write_file(dir / "blob", "linked");
  std::filesystem::create_symlink("../blob", dir / "out/link");
  std::filesystem::create_symlink("nowhere", dir / "out/dangling");
  ASSERT_EQ(::mkfifo((dir / "out/fifo").c_str(), 0600), 0);
  auto begun = DirectoryTransaction::begin(dir / "out", Durability::kSafe);
  ASSERT_TRUE(begun);
  EXPECT_EQ(begun->existing("card", 5).value(), "hello");
  EXPECT_EQ(begun->existing("sub/card", 5).value(), "below");
  EXPECT_EQ(begun->existing("link", 10).value(), "linked");
  for (const std::string name : {"none", "dangling", "fifo", "sub", "card/x"}) {
    auto found = begun->existing(name, 10);
    ASSERT_TRUE(found) << name;
    EXPECT_FALSE(found->has_value()) << name;
  }
  EXPECT_EQ(begun->existing("card", 4).error().code, ErrorCode::kLimitExceeded);
  EXPECT_EQ(begun->existing("../blob", 9).error().code, ErrorCode::kInvalidArgument);
}

TEST(DirectoryTransaction, ReplacesALinkAndLeavesWhatItLedTo) {
  TempDir dir;
  write_file(dir / "blob", "blob");
  ::chmod((dir / "blob").c_str(), 0444);
  std::filesystem::create_directory(dir / "out");
  std::filesystem::create_symlink("../blob", dir / "out/a");
  ASSERT_EQ(::mkfifo((dir / "out/b").c_str(), 0600), 0);
  ASSERT_TRUE(put(dir / "out", "a", "new"));
  ASSERT_TRUE(put(dir / "out", "b", "new"));
  EXPECT_EQ(read_file(dir / "blob"), "blob");
  EXPECT_TRUE(std::filesystem::is_regular_file(std::filesystem::symlink_status(dir / "out/a")));
  EXPECT_EQ(read_file(dir / "out/a"), "new");
  EXPECT_EQ(read_file(dir / "out/b"), "new");
}

TEST(DirectoryTransaction, KeepsOwnersWhereItMay) {
  if (::geteuid() != 0) {
    // Without the right to give files away there is but one owner: ours stays ours.
    TempDir dir;
    write_file(dir / "out/a", "old");
    ASSERT_TRUE(put(dir / "out", "a", "new"));
    struct stat info {};
    ASSERT_EQ(::stat((dir / "out/a").c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, ::geteuid());
    return;
  }
  TempDir dir;
  write_file(dir / "out/a", "old");
  for (const std::string name : {"out", "out/a"}) {
    ASSERT_EQ(::chown((dir / name).c_str(), 65534, 65534), 0);
  }
  ASSERT_TRUE(put(dir / "out", "a", "new"));
  for (const std::string name : {"out", "out/a"}) {
    struct stat info {};
    ASSERT_EQ(::stat((dir / name).c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, 65534U) << name;
    EXPECT_EQ(info.st_gid, 65534U) << name;
  }
}

}  // namespace
}  // namespace ferrule::test
