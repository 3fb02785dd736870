// SPDX-License-Identifier: Apache-2.0
#include "io/file_lock.hpp"

#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/wait.h>

#include <csignal>

#include "io/faults.hpp"
#include "temp_dir.hpp"

namespace ferrule::test {
namespace {

using io::FileLock;

bool free_now(const std::filesystem::path& path) {
  const auto lock = FileLock::try_acquire(path);
  EXPECT_TRUE(lock) << lock.error().to_string();
  return lock && *lock;
}

TEST(FileLock, KeepsOthersOutAsLongAsItIsHeld) {
  TempDir dir;
  {
    const auto lock = FileLock::try_acquire(dir / "lock");
    ASSERT_TRUE(lock && *lock);
    EXPECT_FALSE(free_now(dir / "lock"));
    EXPECT_TRUE(free_now(dir / "other"));
  }
  EXPECT_TRUE(free_now(dir / "lock"));
  EXPECT_TRUE(std::filesystem::exists(dir / "lock"));
}

TEST(FileLock, IsTheOneThatFlockTakes) {
  TempDir dir;
  write_file(dir / "lock", "");
  const int fd = ::open((dir / "lock").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(::flock(fd, LOCK_EX | LOCK_NB), 0);
  EXPECT_FALSE(free_now(dir / "lock"));
  ::close(fd);
  EXPECT_TRUE(free_now(dir / "lock"));
}

TEST(FileLock, GoesWithTheProcessThatHeldIt) {
  TempDir dir;
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto lock = FileLock::try_acquire(dir / "lock");
    (void)::write(pipe[1], "x", 1);
    ::pause();
    ::_exit(lock ? 0 : 1);
  }
  char byte = 0;
  ASSERT_EQ(::read(pipe[0], &byte, 1), 1);
  EXPECT_FALSE(free_now(dir / "lock"));
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(free_now(dir / "lock"));
}

TEST(FileLock, RefusesALinkInItsPlace) {
  TempDir dir;
  std::filesystem::create_symlink(dir / "planted", dir / "lock");
  const auto lock = FileLock::try_acquire(dir / "lock");
  ASSERT_FALSE(lock);
  EXPECT_EQ(lock.error().system_errno, ELOOP);
  EXPECT_FALSE(std::filesystem::exists(dir / "planted"));
  EXPECT_FALSE(FileLock::try_acquire(dir / "none/lock"));
}

TEST(FileLock, OnSystemsWithoutLocksNobodyIsKeptOut) {
  for (const int number : {ENOSYS, EOPNOTSUPP, ENOLCK}) {
    TempDir dir;
    const Faults faults([&](const Call& call) { return call.name == "flock" ? number : 0; });
    EXPECT_TRUE(free_now(dir / "lock")) << number;
  }
}

TEST(FileLock, FailuresAreToldAndSignalsAreNone) {
  TempDir dir;
  for (const auto* failing : {"openat", "flock"}) {
    const Faults faults([&](const Call& call) { return call.name == failing ? EIO : 0; });
    const auto lock = FileLock::try_acquire(dir / "lock");
    ASSERT_FALSE(lock) << failing;
    EXPECT_EQ(lock.error().system_errno, EIO);
    EXPECT_EQ(lock.error().path, (dir / "lock").string());
  }
  int interrupted = 0;
  const Faults faults(
      [&](const Call& call) { return call.name == "flock" && ++interrupted <= 3 ? EINTR : 0; });
  EXPECT_TRUE(free_now(dir / "lock"));
  EXPECT_EQ(interrupted, 4);
}

}  // namespace
}  // namespace ferrule::test
