// SPDX-License-Identifier: Apache-2.0
#include "io/transaction/target.hpp"

#include <limits.h>
#include <sys/stat.h>

#include <array>
#include <optional>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "io/syscalls.hpp"
#include "io/system_error.hpp"

namespace ferrule::io {

namespace {

constexpr int kNameOnly = O_PATH | O_DIRECTORY | O_CLOEXEC;

/// Why `at`, which is there, is not a directory.
Error not_a_directory(const std::string& at, const std::filesystem::path& path) {
  struct stat info {};
  if (sys().fstatat(AT_FDCWD, at.c_str(), &info, 0) != 0) {
    if (errno != ENOTDIR) return system_error(errno, "cannot examine it", path);
    info.st_mode = S_IFREG;
  }
  const bool file = S_ISREG(info.st_mode);
  return base::at(
      base::make_error(
          file ? ErrorCode::kInvalidArgument : ErrorCode::kUnsupported, "TX-10",
          "expected a directory, found " + std::string(kind_of(info.st_mode)) + " at " + quote(at)),
      path);
}

/// Moves the last component of `at` to the front of `missing`.
Result<void> step_up(std::string& at, std::string& missing, const std::filesystem::path& path) {
  const std::size_t slash = at.rfind('/');
  const std::string last = slash == at.npos ? at : at.substr(slash + 1);
  if (last == "." || last == "..") {
    auto error = base::at(base::not_found("TX-10", "there is no such directory"), path);
    error.system_errno = ENOENT;
    return error;
  }
  missing = missing.empty() ? last : last + "/" + missing;
  if (slash == at.npos) {
    at = ".";
  } else {
    at.resize(at.find_last_not_of('/', slash) == at.npos ? 1 : at.find_last_not_of('/', slash) + 1);
  }
  return {};
}

/// The longest part of `text` that is a directory; the rest goes to `missing`.
Result<std::string> existing_part(std::string at, std::string& missing,
                                  const std::filesystem::path& path) {
  for (;;) {
    UniqueFd fd(uninterrupted([&] { return sys().openat(AT_FDCWD, at.c_str(), kNameOnly, 0); }));
    if (fd) return at;
    if (errno == ENOTDIR) return not_a_directory(at, path);
    if (errno != ENOENT) return system_error(errno, "cannot open the directory", path);
    struct stat info {};
    if (sys().fstatat(AT_FDCWD, at.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) {
      if (!S_ISLNK(info.st_mode)) continue;  // It has just appeared.
      return base::at(base::invalid("TX-10", quote(at) + " is a symbolic link that leads nowhere"),
                      path);
    }
    if (errno != ENOENT) return system_error(errno, "cannot examine it", path);
    FERRULE_CHECK(step_up(at, missing, path));
  }
}

Result<std::string> canonical(const std::string& at, const std::filesystem::path& path) {
  std::array<char, PATH_MAX> buffer;
  if (sys().realpath(at.c_str(), buffer.data()) == nullptr) {
    return system_error(errno, "cannot follow the path", path);
  }
  return std::string(buffer.data());
}

Result<std::optional<std::uint64_t>> inode_at(int dir, const std::string& name,
                                              const std::filesystem::path& path) {
  struct stat info {};
  if (sys().fstatat(dir, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) {
    return std::optional<std::uint64_t>(info.st_ino);
  }
  if (errno == ENOENT) return std::optional<std::uint64_t>();
  return system_error(errno, "cannot examine it", path);
}

Result<std::uint64_t> inode_of(int fd, const std::filesystem::path& path) {
  struct stat info {};
  if (sys().fstat(fd, &info) != 0) return system_error(errno, "cannot examine it", path);
  return static_cast<std::uint64_t>(info.st_ino);
}

}  // namespace

Result<Target> resolve_target(const std::filesystem::path& path) {
  std::string text = path.string();
  if (text.empty() || text.find('\0') != text.npos) {
    return base::at(base::invalid("TX-10", "expected the path of a directory"), path);
  }
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  std::string missing;
  FERRULE_TRY(const std::string at, existing_part(text, missing, path));
  FERRULE_TRY(std::string full, canonical(at, path));

  Target target;
  target.path = path;
  if (missing.empty()) {
    const std::size_t slash = full.rfind('/');
    target.name = full.substr(slash + 1);
    target.parent_path = slash == 0 ? "/" : full.substr(0, slash);
  } else {
    const std::size_t slash = missing.find('/');
    target.name = missing.substr(0, slash);
    if (slash != missing.npos) target.below = missing.substr(slash + 1);
    target.parent_path = full;
  }
  target.parent = UniqueFd(uninterrupted(
      [&] { return sys().openat(AT_FDCWD, target.parent_path.c_str(), kNameOnly, 0); }));
  if (!target.parent) return system_error(errno, "cannot open its parent directory", path);
  if (missing.empty()) {
    const char* name = target.name.empty() ? "." : target.name.c_str();
    target.directory = UniqueFd(uninterrupted([&] {
      return sys().openat(target.parent.get(), name,
                          O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    }));
    if (!target.directory) return system_error(errno, "cannot open the directory", path);
  }
  return target;
}

Result<bool> still_there(const Target& target) {
  FERRULE_TRY(const auto parent, inode_at(AT_FDCWD, target.parent_path, target.path));
  FERRULE_TRY(const auto parent_now, inode_of(target.parent.get(), target.path));
  if (parent != parent_now) return false;
  if (target.name.empty()) return true;
  FERRULE_TRY(const auto found, inode_at(target.parent.get(), target.name, target.path));
  if (!target.directory) return !found.has_value();
  FERRULE_TRY(const auto ours, inode_of(target.directory.get(), target.path));
  return found == ours;
}

bool is_mount_point(int directory) noexcept {
  struct statx info {};
  if (sys().statx(directory, "", AT_EMPTY_PATH, STATX_INO, &info) != 0) return false;
  return (info.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0 &&
         (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

bool is_plain_path(std::string_view name) noexcept {
  if (name.empty() || name.find('\0') != name.npos) return false;
  for (;;) {
    const std::size_t slash = name.find('/');
    const std::string_view part = name.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == name.npos) return true;
    name.remove_prefix(slash + 1);
  }
}

Result<OpenedParent> open_parent(int dir, std::string_view name,
                                 const std::filesystem::path& path) {
  OpenedParent place;
  place.folder = UniqueFd(uninterrupted([&] { return sys().openat(dir, ".", kNameOnly, 0); }));
  if (!place.folder) return system_error(errno, "cannot open the directory", path);
  for (std::size_t slash = name.find('/'); slash != name.npos; slash = name.find('/')) {
    const std::string part(name.substr(0, slash));
    UniqueFd next(uninterrupted(
        [&] { return sys().openat(place.folder.get(), part.c_str(), kNameOnly | O_NOFOLLOW, 0); }));
    if (!next) return open_error(errno, "cannot open the folder " + quote(part), path);
    place.folder = std::move(next);
    name.remove_prefix(slash + 1);
  }
  place.name = std::string(name);
  return place;
}

Result<void> make_folders(int dir, const std::string& name, const std::filesystem::path& path) {
  for (std::size_t slash = name.find('/'); slash != name.npos; slash = name.find('/', slash + 1)) {
    FERRULE_TRY(const OpenedParent place, open_parent(dir, name.substr(0, slash), path));
    if (sys().mkdirat(place.folder.get(), place.name.c_str(), 0777) != 0 && errno != EEXIST) {
      return system_error(errno, "cannot create the folder " + quote(place.name), path);
    }
  }
  return {};
}

}  // namespace ferrule::io
