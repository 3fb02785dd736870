// SPDX-License-Identifier: Apache-2.0
#include "io/file_identity.hpp"

#include "io/syscalls.hpp"
#include "io/system_error.hpp"

namespace ferrule::io {
namespace {

std::int64_t nanoseconds(const struct timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

FileIdentity identity_of(const struct stat& info) noexcept {
  return {info.st_dev, info.st_ino, static_cast<std::uint64_t>(info.st_size),
          nanoseconds(info.st_mtim), nanoseconds(info.st_ctim)};
}

Result<FileIdentity> identity_of(int fd, const std::filesystem::path& path) {
  struct stat info {};
  if (sys().fstat(fd, &info) != 0) return system_error(errno, "cannot examine it", path);
  return identity_of(info);
}

}  // namespace ferrule::io
