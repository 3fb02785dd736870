// SPDX-License-Identifier: Apache-2.0
#include "io/file_lock.hpp"

#include <sys/file.h>

#include <utility>

#include "base/try.hpp"
#include "io/syscalls.hpp"
#include "io/system_error.hpp"

namespace ferrule::io {

Result<std::optional<FileLock>> FileLock::try_acquire(const std::filesystem::path& path) {
  UniqueFd fd(uninterrupted([&] {
    return sys().openat(AT_FDCWD, path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NOCTTY, 0664);
  }));
  if (!fd) return system_error(errno, "cannot open the lock", path);
  if (uninterrupted([&] { return sys().flock(fd.get(), LOCK_EX | LOCK_NB); }) == 0 ||
      errno == ENOSYS || errno == EOPNOTSUPP || errno == ENOLCK) {
    return std::optional<FileLock>(FileLock(std::move(fd)));
  }
  if (errno == EWOULDBLOCK) return std::optional<FileLock>();
  return system_error(errno, "cannot lock it", path);
}

}  // namespace ferrule::io
