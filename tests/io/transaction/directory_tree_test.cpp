// SPDX-License-Identifier: Apache-2.0
#include "io/transaction/directory_tree.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>

#include "io/faults.hpp"
#include "io/our_name.hpp"
#include "io/unique_fd.hpp"
#include "temp_dir.hpp"

namespace ferrule::io {
namespace {

namespace fs = std::filesystem;

UniqueFd opened(const fs::path& path) {
  return UniqueFd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

Carried example() {
  Carried carried;
  carried.staged_inode = UINT64_MAX;
  carried.files = {{"a", 1}, {"b/new\nline", 2}, {"\xff", 0}};
  carried.folders = {"b", "b/c d"};
  carried.managed = {"weights"};
  return carried;
}

TEST(CarriedRecords, ComeBackFromTheirText) {
  const auto text = example().encode();
  const auto back = Carried::decode(text);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->staged_inode, UINT64_MAX);
  EXPECT_EQ(back->files, example().files);
  EXPECT_EQ(back->folders, example().folders);
  EXPECT_EQ(back->managed, example().managed);
}

TEST(CarriedRecords, MayBeEmpty) {
  const auto back = Carried::decode(Carried{}.encode());
  ASSERT_TRUE(back);
  EXPECT_TRUE(back->files.empty() && back->folders.empty() && back->managed.empty());
}

TEST(CarriedRecords, OnlyAWholeOneIsRead) {
  const auto text = example().encode();
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(Carried::decode(std::string_view(text).substr(0, size))) << size;
  }
  EXPECT_FALSE(Carried::decode(text + "x"));
  EXPECT_FALSE(Carried::decode("hello"));
}

TEST(CarriedRecords, ANumberBeyond64BitsIsRefused) {
  const auto record = [](std::string_view number) {
    std::string text("ferrule swap 1");
    text += '\0';
    text += number;
    return text + '\0' + "end" + '\0';
  };
  EXPECT_TRUE(Carried::decode(record("18446744073709551615")));
  for (const std::string_view number :
       {"18446744073709551616", "99999999999999999999", "", "-1", "+1", "1 ", "0x1"}) {
    EXPECT_FALSE(Carried::decode(record(number))) << number;
  }
}

// It may come with a download.
TEST(CarriedRecords, PathsThatLeaveTheDirectoryAreRefused) {
  for (const std::string bad : {"../a", "/a", "b/../../a", ""}) {
    Carried carried;
    carried.files = {{bad, 1}};
    EXPECT_FALSE(Carried::decode(carried.encode())) << bad;
    carried = {};
    carried.folders = {bad};
    EXPECT_FALSE(Carried::decode(carried.encode())) << bad;
    carried = {};
    carried.managed = {bad};
    EXPECT_FALSE(Carried::decode(carried.encode())) << bad;
  }
}

TEST(OurNames, AreHiddenAndCalledAfterUs) {
  EXPECT_TRUE(is_our_name(".ferrule-0123456789abcdef"));
  EXPECT_TRUE(is_our_name(".ferrule-stage"));
  for (const std::string_view name :
       {"", ".", ".ferrule", "ferrule-stage", "x.ferrule-stage", ".git"}) {
    EXPECT_FALSE(is_our_name(name)) << name;
  }
}

TEST(CarryOver, LinksTheUsersFilesAndLeavesOutWhatTheSaveWrites) {
  const test::TempDir dir;
  test::write_file(dir / "from/notes", "mine");
  test::write_file(dir / "from/weights", "old");
  test::write_file(dir / "from/sub/deep/f", "mine");
  test::write_file(dir / "from/.ferrule-stage/f", "ours");
  fs::create_symlink("nowhere", dir / "from/link");
  fs::permissions(dir / "from/sub", fs::perms::owner_all | fs::perms::group_read);
  fs::create_directory(dir / "to");
  Carried carried;
  carried.managed = {"weights"};
  const auto done = carry_over(opened(dir / "from").get(), opened(dir / "to").get(), carried,
                               Durability::kFast, dir.path());
  ASSERT_TRUE(done) << done.error().to_string();
  ASSERT_TRUE(*done);
  EXPECT_TRUE(fs::equivalent(dir / "from/notes", dir / "to/notes"));
  EXPECT_TRUE(fs::equivalent(dir / "from/sub/deep/f", dir / "to/sub/deep/f"));
  EXPECT_EQ(fs::read_symlink(dir / "to/link"), "nowhere");
  EXPECT_FALSE(fs::exists(dir / "to/weights"));
  EXPECT_FALSE(fs::exists(dir / "to/.ferrule-stage"));
  EXPECT_EQ(fs::status(dir / "to/sub").permissions(), fs::status(dir / "from/sub").permissions());
  EXPECT_EQ(carried.files.size(), 3U);
  EXPECT_EQ(carried.folders, (std::set<std::string>{"sub", "sub/deep"}));
}

TEST(CarryOver, WhatCannotBeLinkedCannotBeSwapped) {
  const test::TempDir dir;
  test::write_file(dir / "from/notes", "mine");
  fs::create_directory(dir / "to");
  for (const int number : {EPERM, EXDEV, EMLINK}) {
    const test::Faults faults(
        [&](const test::Call& call) { return call.name == "linkat" ? number : 0; });
    Carried carried;
    EXPECT_FALSE(carry_over(opened(dir / "from").get(), opened(dir / "to").get(), carried,
                            Durability::kFast, dir.path())
                     .value())
        << number;
  }
  const test::Faults faults([](const test::Call& call) { return call.name == "linkat" ? EIO : 0; });
  Carried carried;
  EXPECT_EQ(carry_over(opened(dir / "from").get(), opened(dir / "to").get(), carried,
                       Durability::kFast, dir.path())
                .error()
                .system_errno,
            EIO);
}

TEST(BringChanges, BringsWhatAppearedAndChangedAndLeavesOurFilesAlone) {
  const test::TempDir dir;
  test::write_file(dir / "old/notes", "mine");
  test::write_file(dir / "old/gone", "mine");
  test::write_file(dir / "old/weights", "old");
  test::write_file(dir / "new/weights", "new");
  const auto old = opened(dir / "old");
  const auto current = opened(dir / "new");
  Carried carried;
  carried.managed = {"weights"};
  ASSERT_TRUE(carry_over(old.get(), current.get(), carried, Durability::kFast, dir.path()).value());
  // Meanwhile: a file appears, one is replaced, one is removed.
  test::write_file(dir / "old/appeared/f", "late");
  test::write_file(dir / "old/next", "changed");
  fs::rename(dir / "old/next", dir / "old/notes");
  fs::remove(dir / "old/gone");
  const auto old_again = opened(dir / "old");
  ASSERT_TRUE(bring_changes(old_again.get(), current.get(), carried, dir.path()));
  EXPECT_EQ(test::read_file(dir / "new/appeared/f"), "late");
  EXPECT_EQ(test::read_file(dir / "new/notes"), "changed");
  EXPECT_FALSE(fs::exists(dir / "new/gone"));
  EXPECT_EQ(test::read_file(dir / "new/weights"), "new");
}

}  // namespace
}  // namespace ferrule::io
