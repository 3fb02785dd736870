// SPDX-License-Identifier: Apache-2.0
// How a save becomes visible (rules: docs/rules/TX.md). Before commit() all files are in a hidden
// directory next to the target, "new"; the savers' locks are held (TX-7).
//
//   1. Flush and close the files (TX-3, TX-9): finish_files().
//   2. The target does not exist: rename "new" to it, without replacing anything: move_in(). If
//      another program has made it meanwhile, go on as if it had been there: meet_new_directory().
//   3. The target exists: swap_in().
//      a. Link the user's other files into "new" (TX-4); copy owner, mode and attributes (TX-5).
//      b. Write the record of what was there, for a saver who finds a crash (TX-1, TX-4).
//      c. Flush "new" and the directories in it (TX-3), lock it (TX-7), look at the names again.
//      d. Exchange the two with one renameat2(RENAME_EXCHANGE): the commit (TX-1).
//      e. If the process works in the old one, bring that up to date and exchange them back (TX-1):
//         swap_back().
//      f. Flush the parent (TX-3, `full`), carry over what others changed meanwhile (TX-4), and
//         remove the old directory (TX-8).
//   4. It cannot be exchanged: move the files into the directory and rename them there one by one
//      under a record (TX-6): change_in_place(), in_place.cpp.
//
// Up to 3d or 4 an error leaves the old files in place; after that its message begins with "it is
// saved, but" (TX-2).
#include <linux/fs.h>
#include <sys/file.h>
#include <unistd.h>

#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "io/exclusive_lock.hpp"
#include "io/folder_flags.hpp"
#include "io/move_file.hpp"
#include "io/syscalls.hpp"
#include "io/system_error.hpp"
#include "io/transaction/directory_transaction_rep.hpp"
#include "io/transaction/renew_files.hpp"
#include "io/transaction/working_directory.hpp"

namespace ferrule::io {

namespace {

/// The answer of a place that cannot exchange directories.
bool says_no_swap(int number) noexcept {
  return number == EBUSY || number == EXDEV || number == EINVAL || number == ENOSYS ||
         number == EPERM || number == EACCES || number == EOPNOTSUPP;
}

}  // namespace

Result<void> DirectoryTransaction::Rep::finish_files() {
  for (auto& file : files) {
    if (file.file) FERRULE_CHECK(file.file->finish());
  }
  return {};
}

Result<void> DirectoryTransaction::Rep::flush_stage() const {
  if (durability == Durability::kFast) return {};
  const auto flush_at = [&](int dir, const std::string& name) -> Result<void> {
    const UniqueFd fd(
        uninterrupted([&] { return sys().openat(dir, name.c_str(), kFolderFlags, 0); }));
    if (!fd || uninterrupted([&] { return sys().fsync(fd.get()); }) != 0) {
      return system_error(errno, "cannot flush the new directory to the disk", path());
    }
    return {};
  };
  for (const auto& folder : folders) FERRULE_CHECK(flush_at(stage.get(), folder));
  // The directory itself, and the new parents it is in.
  for (std::string up = stage_path;; up.resize(up.rfind('/'))) {
    FERRULE_CHECK(flush_at(beside->fd(), up));
    if (up.find('/') == up.npos) return {};
  }
}

Result<void> DirectoryTransaction::Rep::flush_parent() const {
  if (durability != Durability::kFull) return {};
  const UniqueFd fd(
      uninterrupted([&] { return sys().openat(target.parent.get(), ".", kFolderFlags, 0); }));
  // A parent that may not be read is flushed with its whole file system.
  const int result = uninterrupted(
      [&] { return fd ? sys().fsync(fd.get()) : sys().syncfs(target.directory.get()); });
  if (result == 0) return {};
  return system_error(errno, "it is saved, but its parent directory cannot be flushed to the disk",
                      path());
}

/// TX-1: exchanges the directory for the prepared one; false if it cannot be exchanged.
Result<bool> DirectoryTransaction::Rep::swap_in() {
  const int old = target.directory.get();
  Carried carried;
  for (const auto& file : files) carried.managed.insert(file.name);
  for (const auto& name : removed) carried.managed.insert(name);
  FERRULE_TRY(bool possible, carry_over(old, stage.get(), carried, durability, path()));
  if (!possible) return false;
  struct stat info {};
  if (sys().fstat(old, &info) != 0) return system_error(errno, "cannot examine it", path());
  FERRULE_TRY(possible, copy_owner_and_mode(info, stage.get(), path()));
  if (!possible) return false;
  if (sys().fstat(stage.get(), &info) != 0) return system_error(errno, "cannot examine it", path());
  carried.staged_inode = info.st_ino;
  FERRULE_CHECK(beside->write_record(carried));
  FERRULE_CHECK(flush_stage());
  // Savers who come now lock the new directory, and must wait until the old one is cleared away.
  if (lock_exclusively(stage.get()) != 0) {
    return system_error(errno, "cannot lock the new directory", path());
  }
  FERRULE_TRY(const bool same, still_there(target));
  if (!same) return system_error(ESTALE, "the directory was moved away during the save", path());
  FERRULE_CHECK(unless_canceled(path()));
  const bool is_working = holds_working_directory(target.parent_path + "/" + target.name);
  if (sys().renameat2(beside->fd(), Staging::kNew, target.parent.get(), target.name.c_str(),
                      RENAME_EXCHANGE) != 0) {
    if (says_no_swap(errno)) return false;
    return system_error(errno, "cannot publish it", path());
  }
  published = true;
  const bool back = is_working && swap_back(carried);
  auto flushed = flush_parent();
  auto cleared = beside->clear_after_swap(back ? old : stage.get(), carried);
  FERRULE_CHECK(std::move(flushed));
  if (!cleared) {
    Error error = std::move(cleared).error();
    error.message =
        "it is saved, but what appeared in it meanwhile cannot be kept: " + error.message;
    return error;
  }
  return true;
}

/// Without this, a process that saves into `.` would work in a removed directory. So the old one is
/// brought up to date while it is hidden, and takes its place again. False if that fails: then the
/// new one stays, which is as good for all others.
bool DirectoryTransaction::Rep::swap_back(Carried& carried) {
  const int old = target.directory.get();
  struct stat info {};
  if (sys().fstat(old, &info) != 0 || !bring_changes(old, stage.get(), carried, path()) ||
      !renew_files(old, stage.get(), carried, durability, path())) {
    return false;
  }
  // From here on the other one is the stage, for a saver after a crash.
  const std::uint64_t inode = std::exchange(carried.staged_inode, info.st_ino);
  if (beside->write_record(carried) &&
      sys().renameat2(beside->fd(), Staging::kNew, target.parent.get(), target.name.c_str(),
                      RENAME_EXCHANGE) == 0) {
    return true;
  }
  carried.staged_inode = inode;
  return false;
}

/// Gives a new directory its name; false if there is a directory of that name by now.
Result<bool> DirectoryTransaction::Rep::move_in() {
  FERRULE_CHECK(flush_stage());
  if (lock_exclusively(stage.get()) != 0) {
    return system_error(errno, "cannot lock the new directory", path());
  }
  FERRULE_CHECK(unless_canceled(path()));
  const char* to = target.name.c_str();
  int result =
      sys().renameat2(beside->fd(), Staging::kNew, target.parent.get(), to, RENAME_NOREPLACE);
  if (result != 0 && (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)) {
    // Without the flag an empty directory would be replaced, and nothing else.
    result = sys().renameat2(beside->fd(), Staging::kNew, target.parent.get(), to, 0);
  }
  if (result != 0) {
    if (errno == EEXIST || errno == ENOTEMPTY) return false;
    return system_error(errno, "cannot publish it", path());
  }
  published = true;
  FERRULE_CHECK(flush_parent());
  return true;
}

/// Another program made the directory, or a parent of it, since we looked: what is prepared goes on
/// from there, as if it had been there from the start.
Result<void> DirectoryTransaction::Rep::meet_new_directory() {
  FERRULE_TRY(Target now, resolve_target(path()));
  if (now.parent_path != target.parent_path) {
    FERRULE_TRY(auto next, Staging::acquire(now.parent.get(), now.name, path()));
    if (!next) return system_error(EACCES, "its parent directory is not writable", path());
    FERRULE_CHECK(next->clear(now.directory ? now.directory.get() : -1));
    // The part of what is prepared that is still missing.
    std::string from = stage_path;
    for (std::string rest = now.below; !rest.empty();) {
      from.resize(from.rfind('/'));
      const std::size_t slash = rest.find('/');
      rest = slash == rest.npos ? std::string() : rest.substr(slash + 1);
    }
    if (sys().renameat2(beside->fd(), from.c_str(), next->fd(), Staging::kNew, 0) != 0) {
      return system_error(errno, "cannot move what is prepared", path());
    }
    stage_path = now.below.empty() ? Staging::kNew : Staging::kNew + ("/" + now.below);
    beside.reset();  // While the parent that it names is still open.
    target = std::move(now);
    beside = std::move(next);
    FERRULE_CHECK(lock_parent());
  } else {
    target.directory = std::move(now.directory);
    target.below = std::move(now.below);
  }
  if (!target.directory) return {};
  FERRULE_TRY(const bool locked, lock_target());
  if (!locked) return system_error(ESTALE, "the directory comes and goes during the save", path());
  if (sys().faccessat(target.directory.get(), ".", W_OK | X_OK, AT_EACCESS) != 0) {
    return system_error(errno, "the directory is not writable", path());
  }
  FERRULE_CHECK(recover_in_place(target.directory.get(), path()));
  // If attributes cannot be set, neither can the owner: swap_in() deals with that.
  FERRULE_CHECK(copy_attributes(target.directory.get(), stage.get(), path()));
  return {};
}

Result<void> DirectoryTransaction::Rep::change_in_place() {
  std::vector<Change> changes;
  for (const auto& file : files) changes.push_back({file.name, false});
  for (const auto& name : removed) changes.push_back({name, true});
  if (!inside) {
    FERRULE_TRY(auto made, InPlace::begin(target.directory.get(), path()));
    inside.emplace(std::move(made));
    for (std::size_t i = 0; i < files.size(); ++i) {
      FERRULE_CHECK(move_file(stage.get(), files[i].staged_as, inside->stage(),
                              InPlace::staged_name(i), durability, path() / files[i].name));
    }
  }
  FERRULE_CHECK(inside->publish(changes, durability));
  published = true;
  return {};
}

Result<void> DirectoryTransaction::commit() {
  Rep& rep = *rep_;
  if (rep.published)
    return base::at(base::invalid("TX-10", "the save is committed already"), rep.path());
  FERRULE_CHECK(rep.finish_files());
  FERRULE_CHECK(unless_canceled(rep.path()));
  while (!rep.target.directory) {
    FERRULE_TRY(const bool moved, rep.move_in());
    if (moved) return {};
    FERRULE_CHECK(rep.meet_new_directory());
  }
  if (rep.inside) return rep.change_in_place();
  FERRULE_TRY(const bool swapped, rep.swap_in());
  if (swapped) return {};
  return rep.change_in_place();
}

}  // namespace ferrule::io
