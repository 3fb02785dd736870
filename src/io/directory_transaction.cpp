// SPDX-License-Identifier: Apache-2.0
#include "io/directory_transaction.hpp"

#include <linux/fs.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "base/quote.hpp"
#include "base/try.hpp"
#include "io/directory_tree.hpp"
#include "io/in_place.hpp"
#include "io/move_file.hpp"
#include "io/open_regular.hpp"
#include "io/staged_file.hpp"
#include "io/staging.hpp"
#include "io/syscalls.hpp"
#include "io/system_error.hpp"
#include "io/target.hpp"

namespace ferrule::io {

namespace {

constexpr int kFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
// Each round another saver must have come in between; this many mean that something else is wrong.
constexpr int kMaxRounds = 10000;

Error refused(std::string message, const std::filesystem::path& path) {
  Error error;
  error.code = ErrorCode::kInvalidArgument;
  error.rule = "TX-10";
  error.message = std::move(message);
  error.path = path.string();
  return error;
}

/// A swap was tried and this is the answer of a place where there are none.
bool says_no_swap(int number) noexcept {
  return number == EBUSY || number == EXDEV || number == EINVAL || number == ENOSYS ||
         number == EPERM || number == EACCES || number == EOPNOTSUPP;
}

}  // namespace

struct DirectoryTransaction::Rep {
  // In this order: what is declared later goes first.
  Target target;
  Durability durability = Durability::kSafe;
  UniqueFd parent_lock;  // Shared: who replaces the parent waits for us.
  std::optional<Staging> beside;
  std::optional<InPlace> inside;
  UniqueFd stage;          // The directory that is prepared.
  std::string stage_path;  // Where: "new", or below it where parents are missing.
  bool published = false;

  struct File {
    std::string name;
    std::unique_ptr<StagedFile> file;
    std::string staged_as;
  };
  std::vector<File> files;
  std::set<std::string> removed;
  std::set<std::string> folders;  // Made in the stage.

  const std::filesystem::path& path() const { return target.path; }

  Result<void> lock_parent();
  Result<bool> lock_target();
  Result<void> prepare();
  Result<void> prepare_beside();
  Result<struct stat> look_at(std::string_view name) const;
  Result<void> make_stage_folders(const std::string& name);
  Result<UniqueFd> open_staged(const std::string& staged_as, const struct stat& old);

  Result<void> finish_files();
  Result<void> flush_stage() const;
  Result<bool> swap_in();
  Result<bool> move_in();
  Result<void> meet_new_directory();
  Result<void> change_in_place();
  Result<void> flush_parent() const;
};

DirectoryTransaction::DirectoryTransaction(std::unique_ptr<Rep> rep) noexcept
    : rep_(std::move(rep)) {}
DirectoryTransaction::DirectoryTransaction(DirectoryTransaction&&) noexcept = default;
DirectoryTransaction& DirectoryTransaction::operator=(DirectoryTransaction&&) noexcept = default;
DirectoryTransaction::~DirectoryTransaction() = default;

// ------------------------------------------------------------------------------------------ begin

Result<DirectoryTransaction> DirectoryTransaction::begin(const std::filesystem::path& directory,
                                                         Durability durability) {
  for (int round = 0; round < kMaxRounds; ++round) {
    auto rep = std::make_unique<Rep>();
    rep->durability = durability;
    FERRULE_TRY(rep->target, resolve_target(directory));
    FERRULE_CHECK(rep->lock_parent());
    const bool mounted = rep->target.directory && is_mount_point(rep->target.directory.get());
    if (!rep->target.name.empty() && !mounted) {
      FERRULE_TRY(rep->beside,
                  Staging::acquire(rep->target.parent.get(), rep->target.name, directory));
    }
    FERRULE_TRY(const bool locked, rep->lock_target());
    if (!locked) continue;
    Staging::sweep_above(rep->target.parent_path);
    FERRULE_CHECK(rep->prepare());
    return DirectoryTransaction(std::move(rep));
  }
  return system_error(EAGAIN, "other savers never let go of the directory", directory);
}

/// A folder of adapters is saved by one and the adapters in it by others: the former exchanges the
/// whole folder, so it must wait for the latter.
Result<void> DirectoryTransaction::Rep::lock_parent() {
  UniqueFd fd(uninterrupted([&] { return sys().openat(target.parent.get(), ".", kFolder, 0); }));
  if (!fd) {
    if (errno == EACCES) return {};  // Then nobody of our rights can save into it either.
    return system_error(errno, "cannot open its parent directory", path());
  }
  struct stat info {};
  if (sys().fstat(fd.get(), &info) != 0) {
    return system_error(errno, "cannot examine its parent directory", path());
  }
  // Shared by users who do not know each other; any of them could hold us up for ever.
  if ((info.st_mode & S_ISVTX) != 0) return {};
  if (uninterrupted([&] { return sys().flock(fd.get(), LOCK_SH); }) != 0) {
    return system_error(errno, "cannot lock its parent directory", path());
  }
  parent_lock = std::move(fd);
  return {};
}

/// False where it is another directory by the time that the lock is ours.
Result<bool> DirectoryTransaction::Rep::lock_target() {
  if (target.directory &&
      uninterrupted([&] { return sys().flock(target.directory.get(), LOCK_EX); }) != 0) {
    return system_error(errno, "cannot lock it against other savers", path());
  }
  return still_there(target);
}

Result<void> DirectoryTransaction::Rep::prepare() {
  if (target.directory) {
    if (sys().faccessat(target.directory.get(), ".", W_OK | X_OK, AT_EACCESS) != 0) {
      return system_error(errno, "the directory is not writable", path());
    }
    FERRULE_CHECK(recover_in_place(target.directory.get(), path()));
  }
  if (beside) return prepare_beside();
  if (!target.directory) {
    return system_error(EACCES, "its parent directory is not writable", path());
  }
  FERRULE_TRY(auto made, InPlace::begin(target.directory.get(), path()));
  inside.emplace(std::move(made));
  return {};
}

Result<void> DirectoryTransaction::Rep::prepare_beside() {
  FERRULE_CHECK(beside->clear(target.directory ? target.directory.get() : -1));
  const auto make = [&](const std::string& name) -> Result<UniqueFd> {
    if (sys().mkdirat(beside->fd(), name.c_str(), 0777) != 0) {
      return system_error(errno, "cannot create a directory beside it", path());
    }
    UniqueFd fd(
        uninterrupted([&] { return sys().openat(beside->fd(), name.c_str(), kFolder, 0); }));
    if (!fd) return system_error(errno, "cannot open a directory beside it", path());
    return fd;
  };
  stage_path = Staging::kNew;
  FERRULE_TRY(stage, make(stage_path));
  std::string below = target.below;
  while (!below.empty()) {
    const std::size_t slash = below.find('/');
    stage_path += "/" + below.substr(0, slash);
    below = slash == below.npos ? std::string() : below.substr(slash + 1);
    FERRULE_TRY(stage, make(stage_path));
  }
  if (!target.directory) return {};
  // Now, so that new files inherit what the directory's access list gives them.
  FERRULE_TRY(const bool same, copy_attributes(target.directory.get(), stage.get(), path()));
  if (same) return {};
  stage.reset();
  beside.reset();
  FERRULE_TRY(auto made, InPlace::begin(target.directory.get(), path()));
  inside.emplace(std::move(made));
  return {};
}

// ----------------------------------------------------------------------------------------- create

/// What stands under that name; st_mode is 0 where nothing does. A folder of the name that is no
/// folder, or may not be written to, is an error.
Result<struct stat> DirectoryTransaction::Rep::look_at(std::string_view name) const {
  struct stat info {};
  if (!is_plain_path(name) || is_our_name(name.substr(0, name.find('/')))) {
    return refused("expected a file name below the directory, found " + base::quote(name), path());
  }
  if (!target.directory) return info;
  for (std::size_t end = name.find('/');; end = name.find('/', end + 1)) {
    const std::string part(name.substr(0, end));
    const bool last = end == name.npos;
    if (sys().fstatat(target.directory.get(), part.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno != ENOENT) return system_error(errno, "cannot examine it", path() / part);
      info = {};
      return info;
    }
    if (last && S_ISDIR(info.st_mode)) {
      return refused("expected a file or nothing, found a directory", path() / part);
    }
    if (last) return info;
    if (!S_ISDIR(info.st_mode)) {
      return refused("expected a folder or nothing, found " + std::string(kind_of(info.st_mode)),
                     path() / part);
    }
    if (sys().faccessat(target.directory.get(), part.c_str(), W_OK | X_OK, AT_EACCESS) != 0) {
      return system_error(errno, "the folder is not writable", path() / part);
    }
  }
}

Result<void> DirectoryTransaction::Rep::make_stage_folders(const std::string& name) {
  for (std::size_t slash = name.find('/'); slash != name.npos; slash = name.find('/', slash + 1)) {
    const std::string folder = name.substr(0, slash);
    if (!folders.insert(folder).second) continue;
    if (sys().mkdirat(stage.get(), folder.c_str(), 0777) != 0) {
      return system_error(errno, "cannot create the folder", path() / folder);
    }
  }
  return {};
}

/// A file that takes over the mode of `old`, and its owner where we may give it.
Result<UniqueFd> DirectoryTransaction::Rep::open_staged(const std::string& staged_as,
                                                        const struct stat& old) {
  const bool replaces = S_ISREG(old.st_mode);
  const int dir = inside ? inside->stage() : stage.get();
  UniqueFd fd(uninterrupted([&] {
    return sys().openat(dir, staged_as.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0666);
  }));
  if (!fd) return system_error(errno, "cannot create a file", path());
  if (!replaces) return fd;
  if (old.st_uid != ::geteuid() || old.st_gid != ::getegid()) {
    struct stat now {};
    if (sys().fstat(fd.get(), &now) != 0) return system_error(errno, "cannot examine it", path());
    if (now.st_uid != old.st_uid || now.st_gid != old.st_gid) {
      // Only the superuser may; for others the file is theirs from now on.
      (void)sys().fchown(fd.get(), old.st_uid, old.st_gid);
    }
  }
  if (sys().fchmod(fd.get(), old.st_mode & 07777) != 0) {
    return system_error(errno, "cannot keep the mode of the file", path());
  }
  return fd;
}

Result<OutputFile*> DirectoryTransaction::create(std::string_view name) {
  FERRULE_TRY(const struct stat old, rep_->look_at(name));
  const auto taken = std::find_if(rep_->files.begin(), rep_->files.end(),
                                  [&](const Rep::File& file) { return file.name == name; });
  if (taken != rep_->files.end()) {
    return refused("it is created twice in one save", rep_->path() / name);
  }
  const std::string key(name);
  if (!rep_->inside) FERRULE_CHECK(rep_->make_stage_folders(key));
  const std::string staged_as = rep_->inside ? InPlace::staged_name(rep_->files.size()) : key;
  FERRULE_TRY(UniqueFd fd, rep_->open_staged(staged_as, old));
  rep_->removed.erase(key);
  rep_->files.push_back(
      {key, std::make_unique<StagedFile>(std::move(fd), rep_->path() / name, rep_->durability),
       staged_as});
  return rep_->files.back().file.get();
}

Result<void> DirectoryTransaction::create(std::string_view name, std::string_view content) {
  FERRULE_TRY(OutputFile* const file, create(name));
  return file->write(std::as_bytes(std::span(content)));
}

Result<void> DirectoryTransaction::remove(std::string_view name) {
  FERRULE_TRY(const struct stat old, rep_->look_at(name));
  for (const auto& file : rep_->files) {
    if (file.name == name) {
      return refused("it is created and removed in one save", rep_->path() / name);
    }
  }
  // Absent names too: one that appears until the commit must go as well.
  static_cast<void>(old);
  rep_->removed.emplace(name);
  return {};
}

Result<std::optional<std::string>> DirectoryTransaction::existing(std::string_view name,
                                                                  std::uint64_t limit) const {
  if (!is_plain_path(name)) {
    return refused("expected a file name below the directory, found " + base::quote(name),
                   rep_->path());
  }
  if (!rep_->target.directory) return std::optional<std::string>();
  const auto path = rep_->path() / name;
  auto opened = open_regular(rep_->target.directory.get(), std::string(name).c_str(), path);
  if (!opened) {
    const Error& error = opened.error();
    if (error.code == ErrorCode::kIo && error.system_errno != ENOTDIR) return error;
    return std::optional<std::string>();
  }
  FERRULE_TRY(auto text, read_opened(*opened, limit, path));
  return std::optional<std::string>(std::move(text));
}

// ----------------------------------------------------------------------------------------- commit

Result<void> DirectoryTransaction::Rep::finish_files() {
  for (auto& file : files) FERRULE_CHECK(file.file->finish());
  return {};
}

Result<void> DirectoryTransaction::Rep::flush_stage() const {
  if (durability == Durability::kFast) return {};
  const auto flush_at = [&](int dir, const std::string& name) -> Result<void> {
    const UniqueFd fd(uninterrupted([&] { return sys().openat(dir, name.c_str(), kFolder, 0); }));
    if (!fd || uninterrupted([&] { return sys().fsync(fd.get()); }) != 0) {
      return system_error(errno, "cannot flush the new directory to the disk", path());
    }
    return {};
  };
  for (const auto& folder : folders) FERRULE_CHECK(flush_at(stage.get(), folder));
  // The directory itself, and the new parents it lies in.
  for (std::string up = stage_path;; up.resize(up.rfind('/'))) {
    FERRULE_CHECK(flush_at(beside->fd(), up));
    if (up.find('/') == up.npos) return {};
  }
}

Result<void> DirectoryTransaction::Rep::flush_parent() const {
  if (durability != Durability::kFull) return {};
  const UniqueFd fd(
      uninterrupted([&] { return sys().openat(target.parent.get(), ".", kFolder, 0); }));
  // A parent that may not be read is flushed with its whole file system.
  const int result = uninterrupted(
      [&] { return fd ? sys().fsync(fd.get()) : sys().syncfs(target.directory.get()); });
  if (result == 0) return {};
  return system_error(errno, "it is saved, but its parent directory cannot be flushed to the disk",
                      path());
}

/// Exchanges the directory for the prepared one; false where it cannot be exchanged.
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
  if (uninterrupted([&] { return sys().flock(stage.get(), LOCK_EX); }) != 0) {
    return system_error(errno, "cannot lock the new directory", path());
  }
  FERRULE_TRY(const bool same, still_there(target));
  if (!same) return system_error(ESTALE, "the directory was moved away during the save", path());
  if (sys().renameat2(beside->fd(), Staging::kNew, target.parent.get(), target.name.c_str(),
                      RENAME_EXCHANGE) != 0) {
    if (says_no_swap(errno)) return false;
    return system_error(errno, "cannot publish it", path());
  }
  published = true;
  auto flushed = flush_parent();
  auto cleared = beside->clear_after_swap(stage.get(), carried);
  FERRULE_CHECK(std::move(flushed));
  if (!cleared) {
    Error error = std::move(cleared).error();
    error.message =
        "it is saved, but what appeared in it meanwhile cannot be kept: " + error.message;
    return error;
  }
  return true;
}

/// Gives a new directory its name; false where there is a directory of that name by now.
Result<bool> DirectoryTransaction::Rep::move_in() {
  FERRULE_CHECK(flush_stage());
  if (uninterrupted([&] { return sys().flock(stage.get(), LOCK_EX); }) != 0) {
    return system_error(errno, "cannot lock the new directory", path());
  }
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
  FERRULE_TRY(const bool same, copy_attributes(target.directory.get(), stage.get(), path()));
  static_cast<void>(same);  // Where they cannot be had, neither can the owner: see swap_in().
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
  if (rep.published) return refused("the save is committed already", rep.path());
  FERRULE_CHECK(rep.finish_files());
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
