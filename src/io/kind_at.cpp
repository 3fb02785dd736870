// SPDX-License-Identifier: Apache-2.0
#include "io/kind_at.hpp"

#include <optional>

#include "base/try.hpp"
#include "io/syscalls.hpp"
#include "io/system_error.hpp"

namespace ferrule::io {
namespace {

/// nullopt if there is nothing.
Result<std::optional<struct stat>> examine(const std::filesystem::path& path) {
  struct stat info {};
  if (sys().fstatat(AT_FDCWD, path.c_str(), &info, 0) == 0) return std::optional(info);
  if (errno == ENOENT || errno == ENOTDIR) return std::optional<struct stat>();
  return system_error(errno, "cannot examine it", path);
}

}  // namespace

Result<EntryKind> kind_at(const std::filesystem::path& path) {
  FERRULE_TRY(const auto info, examine(path));
  if (!info) return EntryKind::kNothing;
  if (S_ISREG(info->st_mode)) return EntryKind::kFile;
  return S_ISDIR(info->st_mode) ? EntryKind::kFolder : EntryKind::kOther;
}

Result<bool> same_directory(const std::filesystem::path& a, const std::filesystem::path& b) {
  FERRULE_TRY(const auto first, examine(a));
  FERRULE_TRY(const auto second, examine(b));
  return first && second && first->st_dev == second->st_dev && first->st_ino == second->st_ino;
}

}  // namespace ferrule::io
