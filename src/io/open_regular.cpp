// SPDX-License-Identifier: Apache-2.0
#include "io/open_regular.hpp"

#include <algorithm>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "io/syscalls.hpp"
#include "io/system_error.hpp"

namespace ferrule::io {

namespace {

// Linux transfers at most 0x7ffff000 bytes a call; a rounder number keeps offsets aligned.
constexpr std::size_t kMaxRead = std::size_t{1} << 30;

Error not_regular(unsigned mode, const std::filesystem::path& path) {
  return base::at(base::unsupported("expected a regular file, found " + std::string(kind_of(mode))),
                  path);
}

}  // namespace

Result<OpenedFile> open_regular(int dir, const char* name, const std::filesystem::path& path) {
  // O_NONBLOCK: opening a FIFO or a device must neither wait nor have an effect.
  UniqueFd fd(uninterrupted(
      [&] { return sys().openat(dir, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0); }));
  if (!fd) {
    if (errno == ENXIO || errno == ENODEV) return not_regular(S_IFSOCK, path);
    return open_error(errno, "cannot open it", path);
  }
  struct stat info {};
  if (sys().fstat(fd.get(), &info) != 0) return system_error(errno, "cannot examine it", path);
  if (!S_ISREG(info.st_mode)) return not_regular(info.st_mode, path);
  return OpenedFile{std::move(fd), static_cast<std::uint64_t>(info.st_size), identity_of(info)};
}

Result<void> read_fully(int fd, std::uint64_t offset, std::span<std::byte> out,
                        const std::filesystem::path& path) {
  const std::uint64_t end = offset + out.size();
  while (!out.empty()) {
    const std::size_t wanted = std::min(out.size(), kMaxRead);
    const ssize_t got = uninterrupted(
        [&] { return sys().pread(fd, out.data(), wanted, static_cast<off_t>(offset)); });
    if (got < 0) return system_error(errno, "cannot read it", path);
    if (got == 0) {
      return base::at(
          base::corrupt("the file ends at byte " + std::to_string(offset) +
                        " or before, expected it to go on to byte " + std::to_string(end) +
                        ": it was truncated while it was read (is it still being written?)"),
          path);
    }
    out = out.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
  return {};
}

Result<std::string> read_opened(const OpenedFile& file, std::uint64_t limit,
                                const std::filesystem::path& path) {
  if (file.size > limit) {
    return base::at(base::over_limit("the file has " + std::to_string(file.size) +
                                     " bytes, the limit is " + std::to_string(limit)),
                    path);
  }
  std::string text(static_cast<std::size_t>(file.size), '\0');
  FERRULE_CHECK(read_fully(file.fd.get(), 0, std::as_writable_bytes(std::span(text)), path));
  return text;
}

}  // namespace ferrule::io
