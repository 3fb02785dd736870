// SPDX-License-Identifier: Apache-2.0
#include "io/exclusive_lock.hpp"

#include <sys/file.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "base/call_control.hpp"
#include "io/syscalls.hpp"

namespace ferrule::io {
namespace {

// No signal reaches this thread when another one cancels the call, so it looks now and then.
constexpr std::chrono::milliseconds kLook{10};

int lock(int fd, int operation) noexcept {
  if (base::call_control() == nullptr) {
    return uninterrupted([&] { return sys().flock(fd, operation); });
  }
  for (;;) {
    const int result = uninterrupted([&] { return sys().flock(fd, operation | LOCK_NB); });
    if (result == 0 || errno != EWOULDBLOCK) return result;
    if (saves_canceled()) {
      errno = EINTR;
      return -1;
    }
    std::this_thread::sleep_for(kLook);
  }
}

}  // namespace

int lock_exclusively(int fd) noexcept { return lock(fd, LOCK_EX); }
int lock_shared(int fd) noexcept { return lock(fd, LOCK_SH); }

}  // namespace ferrule::io
