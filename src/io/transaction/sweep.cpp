// SPDX-License-Identifier: Apache-2.0
#include "io/transaction/sweep.hpp"

#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "base/try.hpp"
#include "io/remove_tree.hpp"
#include "io/syscalls.hpp"
#include "io/system_error.hpp"
#include "io/transaction/directory_transaction.hpp"
#include "io/transaction/staging.hpp"
#include "io/unique_fd.hpp"
#include "io/walk.hpp"

namespace ferrule::io {
namespace {

namespace fs = std::filesystem;

bool is_in_place(const std::string& name) {
  return name == ".ferrule-stage" || name == ".ferrule-pending";
}

/// The directory next to the stage that it belongs to.
std::optional<fs::path> target_of(const fs::path& directory, const std::string& stage) {
  const auto listing = list_by_kind(directory);
  if (!listing) return std::nullopt;
  for (const auto& name : listing->directories) {
    const auto stages = stages_of(directory / name);
    if (std::find(stages.begin(), stages.end(), stage) != stages.end()) return directory / name;
  }
  return std::nullopt;
}

/// Begins a save and drops it, which clears what the last one left.
Result<Swept> settle(const fs::path& target) {
  FERRULE_TRY(const auto save, DirectoryTransaction::begin(target, Durability::kFast));
  (void)save;
  return Swept::kRemoved;
}

bool is_locked(int fd) { return sys().flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK; }

}  // namespace

Result<Swept> sweep(const fs::path& directory, const std::string& name) {
  constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  const UniqueFd parent(uninterrupted([&] {
    return sys().openat(AT_FDCWD, directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  }));
  if (!parent) return open_error(errno, "cannot open the directory", directory);
  const auto path = directory / name;
  if (is_in_place(name)) {
    // The directory itself is locked by a saver that works in it.
    if (is_locked(parent.get())) return Swept::kInUse;
    sys().flock(parent.get(), LOCK_UN);
    return settle(directory);
  }
  const UniqueFd fd(
      uninterrupted([&] { return sys().openat(parent.get(), name.c_str(), kFlags, 0); }));
  if (!fd) {
    if (errno == ENOENT) return Swept::kGone;
    if (errno == ELOOP || errno == EACCES) return Swept::kKept;
    return open_error(errno, "cannot open it", path);
  }
  struct stat info {};
  if (sys().fstat(fd.get(), &info) != 0) return system_error(errno, "cannot examine it", path);
  if (info.st_uid != ::geteuid()) return Swept::kKept;
  if (is_locked(fd.get())) return Swept::kInUse;
  struct stat record {};
  if (S_ISDIR(info.st_mode) &&
      sys().fstatat(fd.get(), "record", &record, AT_SYMLINK_NOFOLLOW) == 0) {
    const auto target = target_of(directory, name);
    if (!target) return Swept::kKept;
    sys().flock(fd.get(), LOCK_UN);
    return settle(*target);
  }
  FERRULE_CHECK(remove_tree(parent.get(), name, path));
  return Swept::kRemoved;
}

}  // namespace ferrule::io
