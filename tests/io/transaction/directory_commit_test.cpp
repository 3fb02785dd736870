// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <utility>

#include "ferrule/call_control.hpp"
#include "io/faults.hpp"
#include "io/transaction/directory_transaction.hpp"
#include "io/transaction/scene.hpp"

namespace ferrule::test {
namespace {

using io::DirectoryTransaction;

TEST(DirectoryCommits, CommitsOnce) {
  TempDir dir;
  auto begun = DirectoryTransaction::begin(dir / "out", Durability::kFast);
  ASSERT_TRUE(begun);
  ASSERT_TRUE(begun->create("a", "x"));
  DirectoryTransaction moved = std::move(*begun);
  ASSERT_TRUE(moved.commit());
  EXPECT_EQ(moved.commit().error().code, ErrorCode::kInvalidArgument);
}

/// A save to `out` that is canceled when the directory's `at`-th flush is made (0: never); counts
/// the flushes.
Result<void> commit_canceled_at(const std::filesystem::path& out, int at, int& flushes) {
  CallControl control;
  const CallControl::Scope scope(control);
  auto begun = DirectoryTransaction::begin(out, Durability::kSafe);
  if (!begun) return begun.error();
  if (auto made = begun->create("a", "new"); !made) return made;
  const Faults faults([&](const Call& call) {
    if (call.name == "fsync" && ++flushes == at) control.cancel();
    return 0;
  });
  return begun->commit();
}

TEST(DirectoryCommits, ACancelThatComesDuringTheLastFlushIsObeyed) {
  for (const bool existing : {false, true}) {
    TempDir dir;
    if (existing) {
      ASSERT_TRUE(put(dir / "out", "a", "old"));
      ASSERT_TRUE(put(dir / "other", "a", "old"));
    }
    int flushes = 0;
    ASSERT_TRUE(commit_canceled_at(dir / "other", 0, flushes));
    int again = 0;
    EXPECT_EQ(commit_canceled_at(dir / "out", flushes, again).error().system_errno, EINTR);
    EXPECT_EQ(std::filesystem::exists(dir / "out"), existing);
    if (existing) {
      EXPECT_EQ(read_file(dir / "out/a"), "old");
    }
    EXPECT_EQ(names(dir.path()), existing ? (Names{"other", "out"}) : (Names{"other"}));
  }
}

TEST(DirectoryCommits, KeepsTheWorkingDirectoryOfWhoSavesIntoIt) {
  TempDir dir;
  write_file(dir / "out/sub/mine", "x");
  const auto standing = std::filesystem::current_path();
  for (const auto& [from, path] : {std::pair{"out", "."}, std::pair{"out/sub", ".."}}) {
    std::filesystem::current_path(dir / from);
    const auto done = put(path, "a/b", "new");
    EXPECT_EQ(std::filesystem::current_path(), std::filesystem::canonical(dir / from));
    EXPECT_EQ(read_file(std::filesystem::path(path) / "a/b"), "new");
    std::filesystem::current_path(standing);
    EXPECT_TRUE(done);
  }
  EXPECT_EQ(names(dir.path()), (Names{"out"}));
}

TEST(DirectoryCommits, KeepsTimesAttributesAndInodesOfTheUsersFiles) {
  TempDir dir;
  write_file(dir / "out/sub/mine", "x");
  const struct timespec times[2] = {{1000, 0}, {2000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (dir / "out/sub").c_str(), times, 0), 0);
  const bool attributes = ::setxattr((dir / "out").c_str(), "user.origin", "me", 2, 0) == 0 &&
                          ::setxattr((dir / "out/sub").c_str(), "user.origin", "me", 2, 0) == 0;
  struct stat before {};
  ASSERT_EQ(::stat((dir / "out/sub/mine").c_str(), &before), 0);
  ASSERT_TRUE(put(dir / "out", "a", "new"));
  struct stat after {};
  ASSERT_EQ(::stat((dir / "out/sub/mine").c_str(), &after), 0);
  EXPECT_EQ(after.st_ino, before.st_ino);
  EXPECT_EQ(after.st_nlink, 1U);
  ASSERT_EQ(::stat((dir / "out/sub").c_str(), &after), 0);
  EXPECT_EQ(after.st_mtim.tv_sec, 2000);
  for (const std::string name : {"out", "out/sub"}) {
    char value[8];
    EXPECT_EQ(::getxattr((dir / name).c_str(), "user.origin", value, sizeof(value)),
              attributes ? 2 : -1);
  }
}

/// How often a call of that name is made while `path` is saved.
int calls_in_a_save(const std::filesystem::path& path, Durability durability,
                    const std::string& name) {
  int calls = 0;
  const Faults faults([&](const Call& call) {
    calls += call.name == name ? 1 : 0;
    return 0;
  });
  EXPECT_TRUE(save(path, durability));
  return calls;
}

// TX-3
TEST(DirectoryCommits, FlushAsMuchAsTheDurabilityAsks) {
  const TempDir dir;
  set_up({"Over"}, dir.path());
  EXPECT_EQ(calls_in_a_save(dir / "out", Durability::kFast, "fsync"), 0);
  const int safe = calls_in_a_save(dir / "out", Durability::kSafe, "fsync");
  const int full = calls_in_a_save(dir / "out", Durability::kFull, "fsync");
  EXPECT_GE(safe, 4);  // Each file at least.
  EXPECT_GT(full, safe);
}

// TX-1: one exchange, and the names of the files are never touched.
TEST(DirectoryCommits, AreOneExchangeOfDirectories) {
  const TempDir dir;
  set_up({"Over"}, dir.path());
  int exchanges = 0;
  {
    const Faults faults([&](const Call& call) {
      if (call.name == "renameat2" && call.flags == RENAME_EXCHANGE) ++exchanges;
      if (call.name == "renameat2" && call.to == "weights") ADD_FAILURE() << call.path;
      return 0;
    });
    ASSERT_TRUE(save(dir / "out", Durability::kSafe));
  }
  EXPECT_EQ(exchanges, 1);
  EXPECT_EQ(read_file(dir / "out/weights"), "new weights");
  EXPECT_FALSE(std::filesystem::exists(dir / "out/weights.bin"));
}

// TX-6
TEST(DirectoryCommits, ChangeInPlaceWhereDirectoriesCannotBeExchanged) {
  for (const int number : {EXDEV, EINVAL, ENOSYS, EBUSY}) {
    const TempDir dir;
    set_up({"Over"}, dir.path());
    const Faults faults([&](const Call& call) {
      return call.name == "renameat2" && call.flags == RENAME_EXCHANGE ? number : 0;
    });
    const auto done = save(dir / "out", Durability::kSafe);
    ASSERT_TRUE(done) << number << ": " << done.error().to_string();
    EXPECT_EQ(read_file(dir / "out/weights"), "new weights") << number;
    EXPECT_EQ(read_file(dir / "out/notes.txt"), "mine") << number;
    EXPECT_EQ(names(dir.path()), Names{"out"}) << number;
  }
}

TEST(DirectoryCommits, ADirectoryThatWasMovedAwayIsNotReplaced) {
  const TempDir dir;
  write_file(dir / "out/a", "old");
  auto begun = DirectoryTransaction::begin(dir / "out", Durability::kSafe);
  ASSERT_TRUE(begun);
  ASSERT_TRUE(begun->create("a", "new"));
  std::filesystem::rename(dir / "out", dir / "moved");
  write_file(dir / "out/b", "another's");
  EXPECT_EQ(begun->commit().error().system_errno, ESTALE);
  EXPECT_EQ(read_file(dir / "moved/a"), "old");
  EXPECT_EQ(names(dir / "out"), Names{"b"});
}

}  // namespace
}  // namespace ferrule::test
