// SPDX-License-Identifier: Apache-2.0
#include "io/unique_fd.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "io/faults.hpp"

namespace ferrule::io {
namespace {

int opened() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }
bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST(UniqueFds, CloseWhenTheyGo) {
  const int number = opened();
  { const UniqueFd fd(number); }
  EXPECT_FALSE(is_open(number));
}

TEST(UniqueFds, MoveTheirDescriptor) {
  UniqueFd from(opened());
  const int number = from.get();
  UniqueFd to = std::move(from);
  EXPECT_FALSE(from);  // NOLINT(bugprone-use-after-move): empty is promised.
  EXPECT_EQ(to.get(), number);
  UniqueFd other(opened());
  const int closed = other.get();
  other = std::move(to);
  EXPECT_FALSE(is_open(closed));
  EXPECT_EQ(other.get(), number);
  UniqueFd& same = other;
  other = std::move(same);
  EXPECT_TRUE(is_open(number));
}

TEST(UniqueFds, GiveTheirDescriptorAway) {
  UniqueFd fd(opened());
  const int number = fd.release();
  EXPECT_FALSE(fd);
  EXPECT_TRUE(is_open(number));
  ::close(number);
}

TEST(UniqueFds, LeaveErrnoAsItWas) {
  const test::Faults faults([](const test::Call& call) { return call.name == "close" ? EIO : 0; });
  UniqueFd fd(opened());
  errno = ENOSPC;
  fd.reset();
  EXPECT_EQ(errno, ENOSPC);
}

TEST(UniqueFds, HoldNothingAtFirst) {
  const UniqueFd fd;
  EXPECT_FALSE(fd);
  EXPECT_EQ(fd.get(), -1);
}

}  // namespace
}  // namespace ferrule::io
