// SPDX-License-Identifier: Apache-2.0
#include "io/syscalls.hpp"

#include <dirent.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace ferrule::io {

namespace {

// Variadic or overloaded in the headers, or not wrapped by every C library.
int real_openat(int dir, const char* path, int flags, mode_t mode) {
  return ::openat(dir, path, flags | O_CLOEXEC, mode);
}

ssize_t real_getdents(int fd, void* out, std::size_t size) {
  return ::syscall(SYS_getdents64, fd, out, size);
}

int real_renameat2(int from_dir, const char* from, int to_dir, const char* to, unsigned flags) {
  if (flags == 0) return ::renameat(from_dir, from, to_dir, to);
  return static_cast<int>(::syscall(SYS_renameat2, from_dir, from, to_dir, to, flags));
}

int real_sync_file_range(int fd, off_t offset, off_t size, unsigned flags) {
  return ::sync_file_range(fd, offset, size, flags);
}

Syscalls table = {
    .openat = real_openat,
    .close = ::close,
    .fstat = ::fstat,
    .fstatat = ::fstatat,
    .statx = ::statx,
    .faccessat = ::faccessat,
    .realpath = ::realpath,
    .readlinkat = ::readlinkat,
    .getdents = real_getdents,
    .pread = ::pread,
    .writev = ::writev,
    .pwrite = ::pwrite,
    .ftruncate = ::ftruncate,
    .fallocate = ::fallocate,
    .sync_file_range = real_sync_file_range,
    .fsync = ::fsync,
    .syncfs = ::syncfs,
    .fchmod = ::fchmod,
    .fchown = ::fchown,
    .futimens = ::futimens,
    .flistxattr = ::flistxattr,
    .fgetxattr = ::fgetxattr,
    .fsetxattr = ::fsetxattr,
    .fremovexattr = ::fremovexattr,
    .mkdirat = ::mkdirat,
    .linkat = ::linkat,
    .symlinkat = ::symlinkat,
    .unlinkat = ::unlinkat,
    .renameat2 = real_renameat2,
    .flock = ::flock,
};

}  // namespace

Syscalls& sys() noexcept { return table; }

}  // namespace ferrule::io
