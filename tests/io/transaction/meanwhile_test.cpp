// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include <algorithm>

#include "io/faults.hpp"
#include "io/transaction/directory_reader.hpp"
#include "io/transaction/directory_transaction.hpp"
#include "io/transaction/scene.hpp"

namespace ferrule::test {
namespace {

using io::DirectoryReader;
using io::DirectoryTransaction;

// ----------------------------------------------------------- TX-4: what others do at the same time

/// Saves while `meanwhile` happens right before the directory is exchanged.
Result<void> save_while(const std::filesystem::path& directory, std::function<void()> meanwhile) {
  bool done = false;
  Faults faults([&](const Call& call) {
    if (call.name == "renameat2" && call.to == directory.filename() && !done) {
      done = true;
      meanwhile();
    }
    return 0;
  });
  return put(directory, "a", "new");
}

void change_things(const std::filesystem::path& out) {
  write_file(out / "appeared", "1");
  write_file(out / "folder/appeared", "2");
  write_file(out / "known/appeared", "3");
  write_file(out / "temporary", "newer");
  std::filesystem::rename(out / "temporary", out / "replaced");
  std::filesystem::remove(out / "removed");
  std::filesystem::remove(out / "known/removed");
}

void prepare_things(const std::filesystem::path& out) {
  for (const std::string name : {"a", "stays", "replaced", "removed", "known/removed"}) {
    write_file(out / name, "old");
  }
}

Tree changed_things() {
  TempDir dir;
  prepare_things(dir / "out");
  write_file(dir / "out/a", "new");
  change_things(dir / "out");
  return tree_of(dir.path());
}

TEST(Meanwhile, WhatOthersDidToTheirFilesCounts) {
  TempDir dir;
  prepare_things(dir / "out");
  ASSERT_TRUE(save_while(dir / "out", [&] { change_things(dir / "out"); }));
  EXPECT_EQ(tree_of(dir.path()), changed_things());
}

TEST(Meanwhile, TheNextSaveBringsItWhereThisOneDied) {
  TempDir dir;
  prepare_things(dir / "out");
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    bool swapped = false;
    Faults faults([&](const Call& call) {
      if (swapped) ::_exit(9);
      if (call.name == "renameat2" && call.to == "out") {
        change_things(dir / "out");
        swapped = true;
      }
      return 0;
    });
    (void)put(dir / "out", "a", "new").has_value();
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(WEXITSTATUS(status), 9);
  EXPECT_EQ(read_file(dir / "out/a"), "new");
  ASSERT_TRUE(put(dir / "out", "a", "new"));
  EXPECT_EQ(tree_of(dir.path()), changed_things());
}

TEST(Meanwhile, ANewDirectoryThatAppearsIsTakenOver) {
  for (const std::string below : {"out", "x/out", "x/y/out"}) {
    for (const std::string made : {"x", "x/y", "out", "x/out", "x/y/out"}) {
      if (below.rfind(made, 0) != 0) continue;
      TempDir dir;
      bool done = false;
      {
        Faults faults([&](const Call& call) {
          if (call.name == "renameat2" && !done) {
            done = true;
            write_file(dir / made / "mine", "x");
          }
          return 0;
        });
        ASSERT_TRUE(put(dir / below, "sub/a", "new")) << below << " " << made;
      }
      EXPECT_EQ(read_file(dir / below / "sub/a"), "new");
      EXPECT_EQ(read_file(dir / made / "mine"), "x");
      for (const auto& [name, what] : tree_of(dir.path())) {
        EXPECT_EQ(name.find(".ferrule-"), name.npos) << name;
      }
    }
  }
}

// ------------------------------------------------------------------------------ TX-7: savers at
// once

void run_at_once(int count, const std::function<bool(int)>& work) {
  std::vector<pid_t> children;
  for (int i = 0; i < count; ++i) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) ::_exit(work(i) ? 0 : 1);
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
}

void expect_one_of(const std::filesystem::path& out, int count) {
  const std::string weights = read_file(out / "weights");
  const std::string tag = weights.substr(0, weights.find(' '));
  EXPECT_EQ(read_file(out / "config"), tag + " config");
  EXPECT_EQ(read_file(out / "second/config"), tag + " second");
  EXPECT_LT(std::stoi(tag), count);
}

TEST(SaversAtOnce, WaitForEachOther) {
  constexpr int kCount = 8;
  for (const bool exists : {true, false}) {
    TempDir dir;
    if (exists) set_up({"Over"}, dir.path());
    for (int round = 0; round < 5; ++round) {
      run_at_once(kCount, [&](int i) {
        return save(dir / "out", Durability::kFast, std::to_string(i)).has_value();
      });
      expect_one_of(dir / "out", kCount);
      EXPECT_EQ(names(dir.path()), (Names{"out"}));
      if (exists) {
        EXPECT_EQ(read_file(dir / "out/notes.txt"), "mine");
      }
    }
  }
}

TEST(SaversAtOnce, OfAFolderAndOfWhatIsInItWaitToo) {
  constexpr int kCount = 6;
  TempDir dir;
  for (int round = 0; round < 5; ++round) {
    run_at_once(kCount, [&](int i) {
      const auto target = i % 2 == 0 ? dir / "out" : dir / "out" / ("inner" + std::to_string(i));
      const auto saved = save(target, Durability::kFast, std::to_string(i));
      if (!saved) std::fprintf(stderr, "%s\n", saved.error().to_string().c_str());
      return saved.has_value();
    });
    expect_one_of(dir / "out", kCount);
    for (const std::string inner : {"inner1", "inner3", "inner5"}) {
      expect_one_of(dir / "out" / inner, kCount);
    }
  }
  for (const auto& [name, what] : tree_of(dir.path())) {
    EXPECT_EQ(name.find(".ferrule-"), name.npos) << name;
  }
}

// TX-11
TEST(SaversAtOnce, AReaderOfTheDirectorySeesOneOfThem) {
  constexpr int kCount = 4;
  TempDir dir;
  ASSERT_TRUE(save(dir / "out", Durability::kFast, "0"));
  run_at_once(kCount, [&](int i) {
    if (i > 0) {
      for (int n = 0; n < 50; ++n) {
        if (!save(dir / "out", Durability::kFast, std::to_string(i))) return false;
      }
      return true;
    }
    for (int n = 0; n < 300; ++n) {
      auto reader = DirectoryReader::open(dir / "out");
      if (!reader) continue;  // In the instant of a swap the open may find the name gone.
      auto weights = reader->open_file("weights");
      auto config = reader->open_file("config");
      if (!weights || !config) return false;
      if (!*weights || !*config) {
        if (!reader->was_replaced()) return false;
        continue;
      }
      const std::string a = (*weights)->read_text(100).value();
      const std::string b = (*config)->read_text(100).value();
      if (a.substr(0, a.find(' ')) != b.substr(0, b.find(' '))) return false;
    }
    return true;
  });
}

// ------------------------------------------------------------------------------- TX-6: the record

TEST(Pending, ARecordFromADownloadTouchesNothingOutside) {
  for (const std::string name : {"../victim", "/etc/victim", "link/victim", "a/../../victim"}) {
    TempDir dir;
    write_file(dir / "victim", "mine");
    std::filesystem::create_directory(dir / "out");
    std::filesystem::create_symlink("..", dir / "out/link");
    const std::string nul(1, '\0');
    write_file(dir / "out/.ferrule-pending/redo",
               "ferrule changes 1" + nul + "ro-" + name + nul + "end" + nul);
    (void)DirectoryReader::open(dir / "out").has_value();
    EXPECT_EQ(read_file(dir / "victim"), "mine") << name;
  }
}

TEST(Pending, ATornRecordIsNoRecord) {
  TempDir dir;
  write_file(dir / "out/a", "old");
  const std::string nul(1, '\0');
  write_file(dir / "out/.ferrule-pending/redo", "ferrule changes 1" + nul + "ro-a" + nul + "en");
  ASSERT_TRUE(DirectoryReader::open(dir / "out"));
  EXPECT_EQ(names(dir / "out"), (Names{"a"}));
}

TEST(Pending, ADirectoryThatCannotBeFinishedIsNotRead) {
  TempDir dir;
  const std::string nul(1, '\0');
  write_file(dir / "out/.ferrule-pending/redo",
             "ferrule changes 1" + nul + "cn-a" + nul + "end" + nul);
  write_file(dir / "out/.ferrule-pending/new0", "new");
  {
    Faults faults([](const Call& call) { return call.name == "renameat2" ? EROFS : 0; });
    const auto opened = DirectoryReader::open(dir / "out");
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().rule, "TX-6");
  }
  ASSERT_TRUE(DirectoryReader::open(dir / "out"));
  EXPECT_EQ(read_file(dir / "out/a"), "new");
  EXPECT_EQ(names(dir / "out"), (Names{"a"}));
}

}  // namespace
}  // namespace ferrule::test
