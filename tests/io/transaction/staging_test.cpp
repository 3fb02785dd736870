// SPDX-License-Identifier: Apache-2.0
#include "io/transaction/staging.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "io/faults.hpp"
#include "io/unique_fd.hpp"
#include "temp_dir.hpp"

namespace ferrule::io {
namespace {

namespace fs = std::filesystem;

UniqueFd opened(const fs::path& path) {
  return UniqueFd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

TEST(HiddenNames, BelongToOneTargetAndOneAttempt) {
  const auto fd = opened("/");
  const auto name = hidden_name(fd.get(), "out", 0);
  EXPECT_EQ(name.substr(0, 9), ".ferrule-");
  EXPECT_EQ(name.size(), 25U);
  EXPECT_EQ(name, hidden_name(fd.get(), "out", 0));
  EXPECT_NE(name, hidden_name(fd.get(), "out", 1));
  EXPECT_NE(name, hidden_name(fd.get(), "out2", 0));
}

TEST(Stagings, AreLockedPrivateFoldersThatGoWithTheObject) {
  const test::TempDir dir;
  const auto parent = opened(dir.path());
  const auto hidden = dir / hidden_name(parent.get(), "out", 0);
  {
    auto staging = Staging::acquire(parent.get(), "out", dir / "out");
    ASSERT_TRUE(staging && *staging);
    struct stat info {};
    ASSERT_EQ(::stat(hidden.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0700U);
    const auto other = opened(hidden);
    EXPECT_NE(::flock(other.get(), LOCK_EX | LOCK_NB), 0);
    Staging moved = std::move(**staging);
    EXPECT_TRUE(fs::exists(hidden));
  }
  EXPECT_FALSE(fs::exists(hidden));
}

TEST(Stagings, AreNotMadeWhereNothingMayBeMade) {
  for (const int number : {EACCES, EPERM, EROFS}) {
    const test::TempDir dir;
    const auto parent = opened(dir.path());
    const test::Faults faults(
        [&](const test::Call& call) { return call.name == "mkdirat" ? number : 0; });
    const auto staging = Staging::acquire(parent.get(), "out", dir / "out");
    ASSERT_TRUE(staging) << number;
    EXPECT_FALSE(staging->has_value()) << number;
  }
}

TEST(Stagings, OtherFailuresAreReported) {
  const test::TempDir dir;
  const auto parent = opened(dir.path());
  const test::Faults faults(
      [](const test::Call& call) { return call.name == "mkdirat" ? ENOSPC : 0; });
  EXPECT_EQ(Staging::acquire(parent.get(), "out", dir / "out").error().system_errno, ENOSPC);
}

TEST(Stagings, PassByWhatIsNotTheirs) {
  const test::TempDir dir;
  const auto parent = opened(dir.path());
  const auto first = hidden_name(parent.get(), "out", 0);
  test::write_file(dir / first, "a file of that name");
  {
    const auto staging = Staging::acquire(parent.get(), "out", dir / "out");
    ASSERT_TRUE(staging && *staging);
    EXPECT_TRUE(fs::is_directory(dir / hidden_name(parent.get(), "out", 1)));
  }
  EXPECT_EQ(test::read_file(dir / first), "a file of that name");
}

TEST(Stagings, ClearAwayWhatACrashedSaveLeft) {
  const test::TempDir dir;
  const auto parent = opened(dir.path());
  const auto hidden = dir / hidden_name(parent.get(), "out", 0);
  test::write_file(hidden / "new/weights", "half");
  {
    auto staging = Staging::acquire(parent.get(), "out", dir / "out");
    ASSERT_TRUE(staging && *staging);
    ASSERT_TRUE((*staging)->clear(-1));
    EXPECT_FALSE(fs::exists(hidden / "new"));
  }
  EXPECT_FALSE(fs::exists(hidden));
}

TEST(Stagings, BringWhatAppearedInTheOldDirectoryOfACrashedSave) {
  const test::TempDir dir;
  const auto parent = opened(dir.path());
  const auto hidden = dir / hidden_name(parent.get(), "out", 0);
  fs::create_directory(dir / "out");
  {
    auto staging = Staging::acquire(parent.get(), "out", dir / "out");
    ASSERT_TRUE(staging && *staging);
    Carried carried;
    carried.staged_inode = 1;  // Not that of `new`: the swap happened.
    carried.managed = {"weights"};
    ASSERT_TRUE((*staging)->write_record(carried));
    test::write_file(hidden / "new/weights", "old");
    test::write_file(hidden / "new/late", "mine");
  }
  ASSERT_TRUE(fs::exists(hidden / "new/late"));  // Not cleared: it stays for the next.
  auto staging = Staging::acquire(parent.get(), "out", dir / "out");
  ASSERT_TRUE(staging && *staging);
  const auto out = opened(dir / "out");
  ASSERT_TRUE((*staging)->clear(out.get()));
  EXPECT_EQ(test::read_file(dir / "out/late"), "mine");
  EXPECT_FALSE(fs::exists(dir / "out/weights"));
  EXPECT_FALSE(fs::exists(hidden / "new"));
}

TEST(Stagings, SweepAboveRemovesAbandonedOnesAndSparesThoseAtWork) {
  const test::TempDir dir;
  const auto parent = opened(dir.path());
  const auto abandoned = dir / hidden_name(parent.get(), "a", 0);
  test::write_file(abandoned / "new/b/weights", "half");
  fs::create_directories(dir / "a/b");
  Staging::sweep_above(dir / "a/b");
  EXPECT_FALSE(fs::exists(abandoned));
  const auto busy = dir / hidden_name(parent.get(), "busy", 0);
  test::write_file(busy / "new/weights", "half");
  fs::create_directory(dir / "busy");
  const auto lock = opened(busy);
  ASSERT_EQ(::flock(lock.get(), LOCK_EX), 0);
  Staging::sweep_above(dir / "busy");
  EXPECT_TRUE(fs::exists(busy / "new/weights"));
}

}  // namespace
}  // namespace ferrule::io
