// SPDX-License-Identifier: Apache-2.0
#include "io/partial_file.hpp"

#include <utility>

#include "base/errors.hpp"
#include "io/syscalls.hpp"
#include "io/system_error.hpp"

namespace ferrule::io {

Result<PartialFile> PartialFile::open(const Folder& folder, const std::string& name) {
  const auto path = folder.path() / name;
  UniqueFd fd(uninterrupted([&] {
    return sys().openat(folder.fd(), name.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK,
                        0666);
  }));
  if (!fd) return system_error(errno, "cannot open it", path);
  struct stat info {};
  if (sys().fstat(fd.get(), &info) != 0) return system_error(errno, "cannot examine it", path);
  if (!S_ISREG(info.st_mode)) {
    return base::at(
        base::unsupported("expected a regular file, found " + std::string(kind_of(info.st_mode))),
        path);
  }
  return PartialFile(std::move(fd), path, static_cast<std::uint64_t>(info.st_size));
}

Result<void> PartialFile::append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t put = uninterrupted([&] {
      return sys().pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(size_));
    });
    if (put <= 0) return system_error(put < 0 ? errno : EIO, "cannot write it", path_);
    size_ += static_cast<std::uint64_t>(put);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
  return {};
}

Result<void> PartialFile::clear() {
  if (sys().ftruncate(fd_.get(), 0) != 0) return system_error(errno, "cannot cut it", path_);
  size_ = 0;
  return {};
}

Result<void> PartialFile::flush() const {
  if (uninterrupted([&] { return sys().fsync(fd_.get()); }) == 0) return {};
  return system_error(errno, "cannot flush it", path_);
}

Result<void> append_line(const Folder& folder, const std::string& name, std::string_view line,
                         mode_t mode) {
  const auto path = folder.path() / name;
  UniqueFd fd(uninterrupted([&] {
    return sys().openat(folder.fd(), name.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW,
                        mode);
  }));
  if (!fd) return system_error(errno, "cannot open it", path);
  struct iovec piece {
    const_cast<char*>(line.data()), line.size()
  };
  if (uninterrupted([&] { return sys().writev(fd.get(), &piece, 1); }) < 0) {
    return system_error(errno, "cannot write it", path);
  }
  return {};
}

}  // namespace ferrule::io
