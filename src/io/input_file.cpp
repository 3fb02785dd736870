// SPDX-License-Identifier: Apache-2.0
#include "io/input_file.hpp"

#include <algorithm>

#include "base/quote.hpp"
#include "base/try.hpp"
#include "io/open_regular.hpp"
#include "io/syscalls.hpp"
#include "io/system_error.hpp"

namespace ferrule::io {

namespace {

// Linux transfers at most 0x7ffff000 bytes a call; a rounder number keeps offsets aligned.
constexpr std::size_t kMaxRead = std::size_t{1} << 30;

Error not_regular(unsigned mode, const std::filesystem::path& path) {
  Error error;
  error.code = ErrorCode::kUnsupported;
  error.message = "expected a regular file, found " + std::string(kind_of(mode));
  error.path = path.string();
  return error;
}

}  // namespace

Result<OpenedFile> open_regular(int dir, const char* name, const std::filesystem::path& path) {
  // O_NONBLOCK: opening a FIFO or a device must neither wait nor ring anybody's bell.
  UniqueFd fd(uninterrupted(
      [&] { return sys().openat(dir, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0); }));
  if (!fd) {
    if (errno == ENXIO || errno == ENODEV) return not_regular(S_IFSOCK, path);
    return open_error(errno, "cannot open it", path);
  }
  struct stat info {};
  if (sys().fstat(fd.get(), &info) != 0) return system_error(errno, "cannot examine it", path);
  if (!S_ISREG(info.st_mode)) return not_regular(info.st_mode, path);
  return OpenedFile{std::move(fd), static_cast<std::uint64_t>(info.st_size)};
}

Result<InputFile> InputFile::open(const std::filesystem::path& path) {
  FERRULE_TRY(auto opened, open_regular(AT_FDCWD, path.c_str(), path));
  return InputFile(std::move(opened.fd), opened.size, path);
}

Result<void> InputFile::read_at(std::uint64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const std::size_t wanted = std::min(out.size(), kMaxRead);
    const ssize_t got = uninterrupted(
        [&] { return sys().pread(fd_.get(), out.data(), wanted, static_cast<off_t>(offset)); });
    if (got < 0) return system_error(errno, "cannot read it", path_);
    if (got == 0) {
      Error error;
      error.code = ErrorCode::kCorrupt;
      error.message = "the file ends at byte " + std::to_string(offset) + ", expected " +
                      std::to_string(size_) +
                      " bytes: it was truncated while it was read (is it still being written?)";
      error.path = path_.string();
      return error;
    }
    out = out.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
  return {};
}

Result<std::string> InputFile::read_text(std::uint64_t limit) const {
  if (size_ > limit) {
    Error error;
    error.code = ErrorCode::kLimitExceeded;
    error.message =
        "the file has " + std::to_string(size_) + " bytes, the limit is " + std::to_string(limit);
    error.path = path_.string();
    return error;
  }
  std::string text(static_cast<std::size_t>(size_), '\0');
  FERRULE_CHECK(read_at(0, std::as_writable_bytes(std::span(text))));
  return text;
}

}  // namespace ferrule::io
