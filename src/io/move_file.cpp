// SPDX-License-Identifier: Apache-2.0
#include "io/move_file.hpp"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "base/try.hpp"
#include "io/open_regular.hpp"
#include "io/staged_file.hpp"
#include "io/syscalls.hpp"
#include "io/system_error.hpp"

namespace ferrule::io {

namespace {

constexpr std::size_t kPiece = std::size_t{4} << 20;

Result<void> copy(int from_dir, const std::string& from, int to_dir, const std::string& to,
                  Durability durability, const std::filesystem::path& path) {
  FERRULE_TRY(const OpenedFile source, open_regular(from_dir, from.c_str(), path));
  struct stat info {};
  if (sys().fstat(source.fd.get(), &info) != 0) {
    return system_error(errno, "cannot examine it", path);
  }
  UniqueFd fd(uninterrupted([&] {
    return sys().openat(to_dir, to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  }));
  if (!fd) return system_error(errno, "cannot create a file", path);
  struct stat now {};
  if (sys().fstat(fd.get(), &now) != 0) return system_error(errno, "cannot examine it", path);
  if (now.st_uid != info.st_uid || now.st_gid != info.st_gid) {
    (void)sys().fchown(fd.get(), info.st_uid, info.st_gid);  // As when it was staged.
  }
  if (sys().fchmod(fd.get(), info.st_mode & 07777) != 0) {
    return system_error(errno, "cannot keep the mode of the file", path);
  }
  StagedFile target(std::move(fd), path, durability);
  std::vector<std::byte> buffer(static_cast<std::size_t>(
      std::min<std::uint64_t>(kPiece, std::max<std::uint64_t>(source.size, 1))));
  for (std::uint64_t at = 0; at < source.size;) {
    const auto size =
        static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), source.size - at));
    const std::span<std::byte> piece(buffer.data(), size);
    FERRULE_CHECK(read_fully(source.fd.get(), at, piece, path));
    FERRULE_CHECK(target.write(std::span<const std::byte>(piece)));
    at += size;
  }
  return target.finish();
}

}  // namespace

Result<void> move_file(int from_dir, const std::string& from, int to_dir, const std::string& to,
                       Durability durability, const std::filesystem::path& path) {
  if (sys().renameat2(from_dir, from.c_str(), to_dir, to.c_str(), 0) == 0) return {};
  if (errno != EXDEV && errno != EPERM && errno != EACCES) {
    return system_error(errno, "cannot move it into the directory", path);
  }
  return copy(from_dir, from, to_dir, to, durability, path);
}

}  // namespace ferrule::io
