// SPDX-License-Identifier: Apache-2.0
#include "io/exclusive_lock.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include <cerrno>
#include <thread>

#include "ferrule/call_control.hpp"
#include "io/unique_fd.hpp"
#include "temp_dir.hpp"

namespace ferrule::io {
namespace {

UniqueFd open_folder(const test::TempDir& dir) {
  return UniqueFd(::open(dir.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

TEST(ExclusiveLocks, ExcludeAndAreShared) {
  const test::TempDir dir;
  const auto one = open_folder(dir);
  const auto two = open_folder(dir);
  ASSERT_EQ(lock_exclusively(one.get()), 0);
  EXPECT_NE(::flock(two.get(), LOCK_EX | LOCK_NB), 0);
  ASSERT_EQ(lock_shared(one.get()), 0);
  EXPECT_EQ(lock_shared(two.get()), 0);
}

TEST(ExclusiveLocks, EndTheirWaitWhenTheCallIsCanceled) {
  const test::TempDir dir;
  const auto held = open_folder(dir);
  const auto waiting = open_folder(dir);
  ASSERT_EQ(lock_exclusively(held.get()), 0);
  CallControl control;
  int result = 0;
  int number = 0;
  std::thread waiter([&] {
    const CallControl::Scope scope(control);
    result = lock_exclusively(waiting.get());
    number = errno;
  });
  control.cancel();
  waiter.join();
  EXPECT_EQ(result, -1);
  EXPECT_EQ(number, EINTR);
}

TEST(ExclusiveLocks, AreWaitedForUnderAControlToo) {
  const test::TempDir dir;
  auto held = open_folder(dir);
  const auto waiting = open_folder(dir);
  ASSERT_EQ(lock_exclusively(held.get()), 0);
  CallControl control;
  int result = -1;
  std::thread waiter([&] {
    const CallControl::Scope scope(control);
    result = lock_exclusively(waiting.get());
  });
  held.reset();
  waiter.join();
  EXPECT_EQ(result, 0);
}

}  // namespace
}  // namespace ferrule::io
