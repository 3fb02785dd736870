// SPDX-License-Identifier: Apache-2.0
#include "io/list_directory.hpp"

#include <dirent.h>

#include <array>
#include <cstddef>
#include <cstring>

#include "ferrule/text.hpp"
#include "io/syscalls.hpp"
#include "io/system_error.hpp"

namespace ferrule::io {

namespace {

// The kernel's struct linux_dirent64, by offset: no library header declares it.
constexpr std::size_t kLengthAt = 16;
constexpr std::size_t kTypeAt = 18;
constexpr std::size_t kNameAt = 19;
constexpr std::size_t kUsualLength = 32;

}  // namespace

Result<std::vector<DirectoryEntry>> list_directory(int fd, const std::filesystem::path& path) {
  std::vector<DirectoryEntry> entries;
  std::array<char, 32768> buffer;
  for (;;) {
    const ssize_t got =
        uninterrupted([&] { return sys().getdents(fd, buffer.data(), buffer.size()); });
    if (got < 0) return system_error(errno, "cannot list the directory", path);
    if (got == 0) return entries;
    if (entries.empty()) entries.reserve(static_cast<std::size_t>(got) / kUsualLength);
    for (std::size_t at = 0; at < static_cast<std::size_t>(got);) {
      std::uint64_t inode = 0;
      std::memcpy(&inode, buffer.data() + at, sizeof(inode));
      unsigned short length = 0;
      std::memcpy(&length, buffer.data() + at + kLengthAt, sizeof(length));
      std::string name(buffer.data() + at + kNameAt);
      if (name != "." && name != "..") {
        entries.push_back(
            {std::move(name), inode, static_cast<unsigned char>(buffer[at + kTypeAt])});
      }
      at += length;
    }
  }
}

Result<unsigned char> entry_type(int dir, const DirectoryEntry& entry,
                                 const std::filesystem::path& path) {
  if (entry.type != DT_UNKNOWN) return entry.type;
  struct stat info {};
  if (sys().fstatat(dir, entry.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) {
    return static_cast<unsigned char>(IFTODT(info.st_mode));
  }
  if (errno == ENOENT) return static_cast<unsigned char>(DT_UNKNOWN);
  return system_error(errno, "cannot examine " + quote(entry.name), path);
}

}  // namespace ferrule::io
