// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstddef>

#include "io/save_control.hpp"

struct statx;

namespace ferrule::io {

/// Every call by which this layer touches the file system. Tests put functions of their own here
/// to answer with errors, short counts or sudden death; nothing else ever changes it.
struct Syscalls {
  int (*openat)(int dir, const char* path, int flags, mode_t mode);
  int (*close)(int fd);
  int (*fstat)(int fd, struct stat* out);
  int (*fstatat)(int dir, const char* path, struct stat* out, int flags);
  int (*statx)(int dir, const char* path, int flags, unsigned mask, struct statx* out);
  int (*faccessat)(int dir, const char* path, int mode, int flags);
  char* (*realpath)(const char* path, char* out);
  ssize_t (*readlinkat)(int dir, const char* path, char* out, std::size_t size);
  ssize_t (*getdents)(int fd, void* out, std::size_t size);
  ssize_t (*pread)(int fd, void* out, std::size_t size, off_t offset);
  ssize_t (*writev)(int fd, const struct iovec* pieces, int count);
  ssize_t (*pwrite)(int fd, const void* bytes, std::size_t size, off_t offset);
  int (*ftruncate)(int fd, off_t size);
  int (*fallocate)(int fd, int mode, off_t offset, off_t size);
  int (*sync_file_range)(int fd, off_t offset, off_t size, unsigned flags);
  int (*fsync)(int fd);
  int (*syncfs)(int fd);
  int (*fchmod)(int fd, mode_t mode);
  int (*fchown)(int fd, uid_t uid, gid_t gid);
  int (*futimens)(int fd, const struct timespec times[2]);
  ssize_t (*flistxattr)(int fd, char* out, std::size_t size);
  ssize_t (*fgetxattr)(int fd, const char* name, void* out, std::size_t size);
  int (*fsetxattr)(int fd, const char* name, const void* value, std::size_t size, int flags);
  int (*fremovexattr)(int fd, const char* name);
  int (*mkdirat)(int dir, const char* path, mode_t mode);
  int (*linkat)(int from_dir, const char* from, int to_dir, const char* to, int flags);
  int (*symlinkat)(const char* content, int dir, const char* path);
  int (*unlinkat)(int dir, const char* path, int flags);
  int (*renameat2)(int from_dir, const char* from, int to_dir, const char* to, unsigned flags);
  int (*flock)(int fd, int operation);
};

/// The table in force; the real calls unless a test changed it.
Syscalls& sys() noexcept;

/// TX-9: repeats a call for as long as a signal interrupts it, unless saves are canceled.
template <typename Call>
auto uninterrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR && !saves_canceled()) result = call();
  return result;
}

}  // namespace ferrule::io
