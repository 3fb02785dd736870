// SPDX-License-Identifier: Apache-2.0
#include "io/syscalls.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>

#include <cerrno>

#include "io/unique_fd.hpp"
#include "temp_dir.hpp"

namespace ferrule::io {
namespace {

TEST(Uninterrupted, RepeatsACallThatASignalInterrupted) {
  int calls = 0;
  const int result = uninterrupted([&] {
    errno = EINTR;
    return ++calls < 4 ? -1 : 7;
  });
  EXPECT_EQ(result, 7);
  EXPECT_EQ(calls, 4);
}

TEST(Uninterrupted, GivesUpOnAnyOtherError) {
  int calls = 0;
  const int result = uninterrupted([&] {
    ++calls;
    errno = EIO;
    return -1;
  });
  EXPECT_EQ(result, -1);
  EXPECT_EQ(calls, 1);
}

TEST(Syscalls, DescriptorsAreNotInherited) {
  const UniqueFd fd(sys().openat(AT_FDCWD, "/dev/null", O_RDONLY, 0));
  ASSERT_TRUE(fd);
  EXPECT_NE(::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(Syscalls, RenameExchangesAndNeverReplacesIfAskedSo) {
  const test::TempDir dir;
  test::write_file(dir / "a", "1");
  test::write_file(dir / "b", "2");
  const UniqueFd fd(sys().openat(AT_FDCWD, dir.path().c_str(), O_RDONLY | O_DIRECTORY, 0));
  ASSERT_TRUE(fd);
  EXPECT_NE(sys().renameat2(fd.get(), "a", fd.get(), "b", RENAME_NOREPLACE), 0);
  EXPECT_EQ(errno, EEXIST);
  ASSERT_EQ(sys().renameat2(fd.get(), "a", fd.get(), "b", RENAME_EXCHANGE), 0);
  EXPECT_EQ(test::read_file(dir / "a"), "2");
  ASSERT_EQ(sys().renameat2(fd.get(), "a", fd.get(), "b", 0), 0);
  EXPECT_EQ(test::read_file(dir / "b"), "2");
}

}  // namespace
}  // namespace ferrule::io
