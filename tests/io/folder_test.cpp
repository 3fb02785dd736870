// SPDX-License-Identifier: Apache-2.0
#include "io/folder.hpp"

#include <gtest/gtest.h>

#include "io/faults.hpp"
#include "io/transaction/scene.hpp"

namespace ferrule::test {
namespace {

using io::EntryKind;
using io::Folder;

Folder folder_at(const std::filesystem::path& path) {
  auto made = Folder::make(path);
  EXPECT_TRUE(made) << made.error().to_string();
  return std::move(made).value();
}

TEST(Folder, MakesItselfAndItsParents) {
  TempDir dir;
  ASSERT_TRUE(Folder::make(dir / "a/b/c"));
  ASSERT_TRUE(Folder::make(dir / "a/b/c"));
  ASSERT_TRUE(Folder::make(dir / "a/d/"));
  EXPECT_TRUE(std::filesystem::is_directory(dir / "a/b/c"));
  write_file(dir / "file", "x");
  EXPECT_EQ(Folder::make(dir / "file").error().system_errno, ENOTDIR);
  EXPECT_EQ(Folder::make(dir / "file/below").error().system_errno, ENOTDIR);
  EXPECT_FALSE(Folder::make(""));
}

TEST(Folder, WhatWasMadeOnTheWayGoesAgainUnlessItIsUsed) {
  TempDir dir;
  std::filesystem::create_directory(dir / "mine");
  {
    io::MadeFolders made;
    ASSERT_TRUE(Folder::make(dir / "mine/a/b/c", &made));
    EXPECT_TRUE(std::filesystem::is_directory(dir / "mine/a/b/c"));
  }
  EXPECT_EQ(tree_of(dir.path()).size(), 1U)
      << "a folder that was there stays, although it is empty";
  {
    io::MadeFolders made;
    ASSERT_TRUE(Folder::make(dir / "mine/a/b", &made));
    write_file(dir / "mine/a/file", "x");
  }
  EXPECT_FALSE(std::filesystem::exists(dir / "mine/a/b"));
  EXPECT_TRUE(std::filesystem::exists(dir / "mine/a/file"));
  {
    io::MadeFolders made;
    ASSERT_TRUE(Folder::make(dir / "mine/c/d", &made));
    made.keep();
  }
  EXPECT_TRUE(std::filesystem::is_directory(dir / "mine/c/d"));
}

TEST(Folder, OpensWhatIsThere) {
  TempDir dir;
  const auto none = Folder::open(dir / "a");
  ASSERT_TRUE(none);
  EXPECT_FALSE(*none);
  write_file(dir / "b", "x");
  EXPECT_FALSE(Folder::open(dir / "b"));
}

TEST(Folder, WalksThroughNoLink) {
  TempDir dir;
  const auto folder = folder_at(dir / "in");
  std::filesystem::create_directories(dir / "out/below");
  std::filesystem::create_directory_symlink(dir / "out", dir / "in/link");
  EXPECT_FALSE(folder.make_below("link"));
  EXPECT_FALSE(folder.make_below("link/new"));
  EXPECT_FALSE(folder.open_below("link/below"));
  EXPECT_EQ(tree_of(dir / "out").size(), 1U);
  for (const auto* name : {"..", "a/..", ".", "/a", "a//b"}) {
    EXPECT_EQ(folder.make_below(name).error().code, ErrorCode::kInvalidArgument) << name;
  }
  EXPECT_EQ(tree_of(dir / "in").count("b"), 0U);
  ASSERT_TRUE(folder.make_below("a/b"));
  EXPECT_TRUE(folder.open_below("a/b").value());
  EXPECT_FALSE(folder.open_below("a/c").value());
  EXPECT_EQ(folder.make_below("").value().path(), folder.path());
}

TEST(Folder, TellsWhatIsInIt) {
  TempDir dir;
  const auto folder = folder_at(dir.path());
  write_file(dir / "file", "x");
  std::filesystem::create_directory(dir / "below");
  std::filesystem::create_symlink("file", dir / "link");
  std::filesystem::create_symlink("nowhere", dir / "lost");
  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(folder.names().value(),
            (std::vector<std::string>{"below", "fifo", "file", "link", "lost"}));
  EXPECT_EQ(folder.look("file").value(), EntryKind::kFile);
  EXPECT_EQ(folder.look("below").value(), EntryKind::kFolder);
  EXPECT_EQ(folder.look("link").value(), EntryKind::kLink);
  EXPECT_EQ(folder.look("fifo").value(), EntryKind::kOther);
  EXPECT_EQ(folder.look("none").value(), EntryKind::kNothing);
  EXPECT_EQ(folder.read_link("link").value(), "file");
  EXPECT_FALSE(folder.read_link("file").value());
  EXPECT_FALSE(folder.read_link("none").value());
  EXPECT_EQ(folder.open_file("link").value()->size, 1U);
  EXPECT_FALSE(folder.open_file("lost").value());
  EXPECT_EQ(folder.open_file("fifo").error().code, ErrorCode::kUnsupported);
}

TEST(Folder, PutsFilesAndLinksInThePlaceOfOthers) {
  TempDir dir;
  const auto folder = folder_at(dir / "a");
  const auto other = folder_at(dir / "b");
  write_file(dir / "b/theirs", "theirs");
  std::filesystem::create_symlink("../b/theirs", dir / "a/name");
  ASSERT_TRUE(folder.write("name", "ours"));
  EXPECT_EQ(read_file(dir / "b/theirs"), "theirs");
  EXPECT_EQ(folder.look("name").value(), EntryKind::kFile);
  ASSERT_TRUE(folder.hard_link("name", other, "same"));
  ASSERT_TRUE(folder.hard_link("name", other, "same"));
  EXPECT_EQ(std::filesystem::hard_link_count(dir / "a/name"), 2U);
  ASSERT_TRUE(folder.link("name", "../b/theirs"));
  EXPECT_EQ(read_file(dir / "a/name"), "theirs");
  // Of a link, the file it leads to gets the second name.
  ASSERT_TRUE(folder.hard_link("name", folder, "copy"));
  EXPECT_EQ(folder.look("copy").value(), EntryKind::kFile);
  ASSERT_TRUE(folder.move_to("copy", other, "moved"));
  ASSERT_TRUE(folder.remove("name"));
  ASSERT_TRUE(folder.remove("name"));
  EXPECT_EQ(folder.names().value(), std::vector<std::string>{});
  EXPECT_EQ(other.names().value(), (std::vector<std::string>{"moved", "same", "theirs"}));
}

/// Calls that change a folder which has the file "old" and the link "link".
struct Change {
  const char* name;
  Result<void> (*make)(const Folder& folder);
};

void PrintTo(const Change& change, std::ostream* out) { *out << change.name; }

class FolderChange : public testing::TestWithParam<Change> {};

TEST_P(FolderChange, FailingAtAnyCallLeavesNothingHalf) {
  for (const int number : {EIO, ENOSPC, EINTR}) {
    bool hit = true;
    for (int when = 1; hit; ++when) {
      TempDir dir;
      write_file(dir / "old", "old");
      std::filesystem::create_symlink("old", dir / "link");
      const auto folder = folder_at(dir.path());
      const auto before = tree_of(dir.path());
      hit = false;
      Result<void> done;
      {
        int count = 0;
        Faults faults([&](const Call&) {
          if (++count != when) return 0;
          hit = true;
          return number;
        });
        done = GetParam().make(folder);
      }
      const auto after = tree_of(dir.path());
      if (!hit) {
        EXPECT_TRUE(done) << done.error().to_string();
        EXPECT_NE(after, before);
      } else if (!done) {
        EXPECT_EQ(done.error().system_errno, number);
        EXPECT_NE(done.error().path.find(dir.path().string()), std::string::npos);
        EXPECT_EQ(after, before) << when;
      }
      for (const auto& [path, what] : after) {
        EXPECT_NE(path.rfind(".ferrule", 0), 0U) << "left behind: " << path;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Every, FolderChange,
    testing::Values(Change{"Write", [](const Folder& f) { return f.write("old", "new"); }},
                    Change{"Link", [](const Folder& f) { return f.link("old", "elsewhere"); }},
                    Change{"HardLink",
                           [](const Folder& f) { return f.hard_link("old", f, "link"); }},
                    Change{"Move", [](const Folder& f) { return f.move_to("old", f, "new"); }},
                    Change{"Remove", [](const Folder& f) { return f.remove("old"); }}),
    [](const auto& change) { return change.param.name; });

TEST(Folder, FailuresOfLookingAreTold) {
  TempDir dir;
  const auto folder = folder_at(dir.path());
  write_file(dir / "a/file", "x");
  const auto fails = [&](const char* call, auto look) {
    const Faults faults([&](const Call& made) { return made.name == call ? EIO : 0; });
    const auto looked = look();
    return !looked && looked.error().system_errno == EIO;
  };
  EXPECT_TRUE(fails("fstatat", [&] { return folder.look("a"); }));
  EXPECT_TRUE(fails("getdents", [&] { return folder.names(); }));
  EXPECT_TRUE(fails("readlinkat", [&] { return folder.read_link("a"); }));
  EXPECT_TRUE(fails("openat", [&] { return folder.open_below("a"); }));
  EXPECT_TRUE(fails("openat", [&] { return Folder::open(dir.path()); }));
  EXPECT_TRUE(fails("mkdirat", [&] { return folder.make_below("b"); }));
  EXPECT_TRUE(fails("mkdirat", [&] { return Folder::make(dir / "c/d"); }));
  EXPECT_TRUE(fails("fstat", [&] { return io::identity_of(folder.fd(), dir.path()); }));
}

}  // namespace
}  // namespace ferrule::test
