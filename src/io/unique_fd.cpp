// SPDX-License-Identifier: Apache-2.0
#include "io/unique_fd.hpp"

#include <cerrno>

#include "io/syscalls.hpp"

namespace ferrule::io {

void UniqueFd::reset(int fd) noexcept {
  if (fd_ >= 0) {
    const int saved = errno;  // So that a destructor on an error path does not hide the cause.
    sys().close(fd_);
    errno = saved;
  }
  fd_ = fd;
}

}  // namespace ferrule::io
