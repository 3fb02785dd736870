// SPDX-License-Identifier: Apache-2.0
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "io/exclusive_lock.hpp"
#include "io/folder_flags.hpp"
#include "io/move_file.hpp"
#include "io/open_regular.hpp"
#include "io/our_name.hpp"
#include "io/syscalls.hpp"
#include "io/system_error.hpp"
#include "io/transaction/directory_transaction_rep.hpp"
#include "io/transaction/target.hpp"

namespace ferrule::io {

DirectoryTransaction::DirectoryTransaction(std::unique_ptr<Rep> rep) noexcept
    : rep_(std::move(rep)) {}
DirectoryTransaction::DirectoryTransaction(DirectoryTransaction&&) noexcept = default;
DirectoryTransaction& DirectoryTransaction::operator=(DirectoryTransaction&&) noexcept = default;
DirectoryTransaction::~DirectoryTransaction() = default;

Result<DirectoryTransaction> DirectoryTransaction::begin(const std::filesystem::path& directory,
                                                         Durability durability) {
  for (int round = 0; round < kMaxRounds; ++round) {
    auto rep = std::make_unique<Rep>();
    rep->durability = durability;
    auto target = resolve_target(directory);
    // Something on the way was just replaced: an absent directory itself is not an error.
    if (!target && target.error().system_errno == ENOENT && round < kMaxRounds / 100) continue;
    if (!target) return std::move(target).error();
    rep->target = std::move(*target);
    FERRULE_CHECK(rep->lock_parent());
    FERRULE_TRY(const bool same, still_there(rep->target));
    if (!same) continue;
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
  UniqueFd fd(
      uninterrupted([&] { return sys().openat(target.parent.get(), ".", kFolderFlags, 0); }));
  if (!fd) {
    if (errno == EACCES) return {};  // Then no process with our rights can save into it either.
    return system_error(errno, "cannot open its parent directory", path());
  }
  struct stat info {};
  if (sys().fstat(fd.get(), &info) != 0) {
    return system_error(errno, "cannot examine its parent directory", path());
  }
  // Shared by users who do not know each other; any of them could hold us up for ever.
  if ((info.st_mode & S_ISVTX) != 0) return {};
  if (lock_shared(fd.get()) != 0) {
    return system_error(errno, "cannot lock its parent directory", path());
  }
  parent_lock = std::move(fd);
  return {};
}

/// False if it is another directory by the time that the lock is ours.
Result<bool> DirectoryTransaction::Rep::lock_target() {
  if (target.directory && lock_exclusively(target.directory.get()) != 0) {
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
      return system_error(errno, "cannot create a directory next to it", path());
    }
    UniqueFd fd(
        uninterrupted([&] { return sys().openat(beside->fd(), name.c_str(), kFolderFlags, 0); }));
    if (!fd) return system_error(errno, "cannot open a directory next to it", path());
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

/// What has that name; st_mode is 0 if nothing does. A folder of the name that is no
/// folder, or may not be written to, is an error.
Result<struct stat> DirectoryTransaction::Rep::look_at(std::string_view name) const {
  struct stat info {};
  if (!is_plain_path(name) || is_our_name(name.substr(0, name.find('/')))) {
    return base::at(
        base::invalid("TX-10", "expected a file name below the directory, found " + quote(name)),
        path());
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
      return base::at(base::invalid("TX-10", "expected a file or nothing, found a directory"),
                      path() / part);
    }
    if (last) return info;
    if (!S_ISDIR(info.st_mode)) {
      return base::at(base::invalid("TX-10", "expected a folder or nothing, found " +
                                                 std::string(kind_of(info.st_mode))),
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

/// A file with the mode of `old`, and its owner if this process may set it.
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

/// The name that the next file has in the stage; its folders are made.
Result<std::string> DirectoryTransaction::Rep::claim(std::string_view name) {
  const auto taken =
      std::find_if(files.begin(), files.end(), [&](const File& file) { return file.name == name; });
  if (taken != files.end()) {
    return base::at(base::invalid("TX-10", "it is created twice in one save"), path() / name);
  }
  std::string key(name);
  if (!inside) FERRULE_CHECK(make_stage_folders(key));
  return inside ? InPlace::staged_name(files.size()) : key;
}

Result<OutputFile*> DirectoryTransaction::create(std::string_view name) {
  FERRULE_TRY(const struct stat old, rep_->look_at(name));
  FERRULE_TRY(const std::string staged_as, rep_->claim(name));
  FERRULE_TRY(UniqueFd fd, rep_->open_staged(staged_as, old));
  const std::string key(name);
  rep_->removed.erase(key);
  rep_->files.push_back(
      {key, std::make_unique<StagedFile>(std::move(fd), rep_->path() / name, rep_->durability),
       staged_as});
  return rep_->files.back().file.get();
}

Result<bool> DirectoryTransaction::link(int folder, const std::string& name, std::string_view as) {
  FERRULE_CHECK(rep_->look_at(as));
  FERRULE_TRY(const std::string staged_as, rep_->claim(as));
  if (sys().linkat(folder, name.c_str(), rep_->stage_folder(), staged_as.c_str(),
                   AT_SYMLINK_FOLLOW) != 0) {
    if (errno == EXDEV || errno == EPERM || errno == EMLINK || errno == EACCES ||
        errno == EOPNOTSUPP || errno == ENOSYS) {
      return false;
    }
    return system_error(errno, "cannot link " + quote(name) + " into it", rep_->path());
  }
  rep_->removed.erase(std::string(as));
  rep_->files.push_back({std::string(as), nullptr, staged_as});
  return true;
}

Result<void> DirectoryTransaction::adopt(int folder, const std::string& name, std::string_view as) {
  FERRULE_CHECK(rep_->look_at(as));
  FERRULE_TRY(const std::string staged_as, rep_->claim(as));
  FERRULE_CHECK(move_file(folder, name, rep_->stage_folder(), staged_as, rep_->durability,
                          rep_->path() / as));
  rep_->removed.erase(std::string(as));
  rep_->files.push_back({std::string(as), nullptr, staged_as});
  return {};
}

Result<void> DirectoryTransaction::create(std::string_view name, std::string_view content) {
  FERRULE_TRY(OutputFile* const file, create(name));
  return file->write(std::as_bytes(std::span(content)));
}

Result<void> DirectoryTransaction::remove(std::string_view name) {
  FERRULE_CHECK(rep_->look_at(name));
  for (const auto& file : rep_->files) {
    if (file.name == name) {
      return base::at(base::invalid("TX-10", "it is created and removed in one save"),
                      rep_->path() / name);
    }
  }
  // Absent names too: one that appears before the commit must also go.
  rep_->removed.emplace(name);
  return {};
}

Result<std::optional<std::string>> DirectoryTransaction::existing(std::string_view name,
                                                                  std::uint64_t limit) const {
  if (!is_plain_path(name)) {
    return base::at(
        base::invalid("TX-10", "expected a file name below the directory, found " + quote(name)),
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

}  // namespace ferrule::io
