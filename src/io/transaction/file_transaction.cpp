// SPDX-License-Identifier: Apache-2.0
#include "io/transaction/file_transaction.hpp"

#include <sys/file.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "io/exclusive_lock.hpp"
#include "io/folder_flags.hpp"
#include "io/output_file.hpp"
#include "io/save_control.hpp"
#include "io/staged_file.hpp"
#include "io/syscalls.hpp"
#include "io/system_error.hpp"
#include "io/transaction/staging.hpp"
#include "io/transaction/target.hpp"

namespace ferrule::io {

namespace {

/// The file that `path` names, with links followed; it need not exist. Bounded, as the kernel
/// bounds it.
Result<std::filesystem::path> follow_links(std::filesystem::path path) {
  const std::filesystem::path named = path;
  for (int hops = 0; hops < 40; ++hops) {
    struct stat info {};
    if (sys().fstatat(AT_FDCWD, path.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) return path;
      return system_error(errno, "cannot examine it", named);
    }
    if (!S_ISLNK(info.st_mode)) return path;
    std::string content(4096, '\0');
    const ssize_t size = sys().readlinkat(AT_FDCWD, path.c_str(), content.data(), content.size());
    if (size < 0) return system_error(errno, "cannot read the link", named);
    content.resize(static_cast<std::size_t>(size));
    path = path.parent_path() / content;
  }
  return system_error(ELOOP, "cannot follow the link", named);
}

}  // namespace

struct FileTransaction::Rep {
  SaveMark mark;
  std::filesystem::path path;  // As the caller named it.
  std::string name;
  std::string temporary;
  UniqueFd parent;
  UniqueFd parent_lock;
  UniqueFd lock;  // Of the temporary file: it is ours as long as this is held.
  std::optional<StagedFile> file;
  Durability durability = Durability::kSafe;

  ~Rep() {
    if (!temporary.empty()) sys().unlinkat(parent.get(), temporary.c_str(), 0);
  }

  Result<void> open_parent(const std::filesystem::path& directory);
  Result<void> create(const struct stat& old);
  Result<bool> create_once();
  Result<void> wait_for_owner(const std::string& hidden);
};

FileTransaction::FileTransaction(std::unique_ptr<Rep> rep) noexcept : rep_(std::move(rep)) {}
FileTransaction::FileTransaction(FileTransaction&&) noexcept = default;
FileTransaction& FileTransaction::operator=(FileTransaction&&) noexcept = default;
FileTransaction::~FileTransaction() = default;

Result<void> FileTransaction::Rep::open_parent(const std::filesystem::path& directory) {
  parent = UniqueFd(uninterrupted([&] {
    return sys().openat(AT_FDCWD, directory.empty() ? "." : directory.c_str(),
                        O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
  }));
  if (!parent) return open_error(errno, "cannot open its directory", path);
  // As savers of a directory do: who replaces this one waits for us.
  UniqueFd fd(uninterrupted([&] { return sys().openat(parent.get(), ".", kFolderFlags, 0); }));
  struct stat info {};
  if (!fd || sys().fstat(fd.get(), &info) != 0 || (info.st_mode & S_ISVTX) != 0) return {};
  if (uninterrupted([&] { return sys().flock(fd.get(), LOCK_SH); }) != 0) {
    return system_error(errno, "cannot lock its directory", path);
  }
  parent_lock = std::move(fd);
  return {};
}

/// Somebody's temporary file is in the way: once its owner has let go of it, it is rubbish.
Result<void> FileTransaction::Rep::wait_for_owner(const std::string& hidden) {
  const UniqueFd fd(uninterrupted([&] {
    return sys().openat(parent.get(), hidden.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
  }));
  if (!fd) {
    if (errno == ENOENT) return {};
    return system_error(errno, "cannot open a temporary file that is in the way", path);
  }
  if (lock_exclusively(fd.get()) != 0) {
    return system_error(errno, "cannot lock a temporary file", path);
  }
  struct stat ours {};
  struct stat there {};
  if (sys().fstat(fd.get(), &ours) == 0 &&
      sys().fstatat(parent.get(), hidden.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 &&
      ours.st_ino == there.st_ino && ours.st_dev == there.st_dev &&
      sys().unlinkat(parent.get(), hidden.c_str(), 0) != 0 && errno != ENOENT) {
    return system_error(errno, "cannot remove a temporary file", path);
  }
  return {};
}

/// False if another saver was in the way.
Result<bool> FileTransaction::Rep::create_once() {
  const std::string hidden = hidden_name(parent.get(), name, 0);
  UniqueFd fd(uninterrupted([&] {
    return sys().openat(parent.get(), hidden.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW,
                        0666);
  }));
  if (!fd) {
    if (errno != EEXIST) return system_error(errno, "cannot create it", path);
    FERRULE_CHECK(wait_for_owner(hidden));
    return false;
  }
  temporary = hidden;
  // The lock belongs to both descriptors, so it outlives the one that is closed on finish.
  lock = UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  if (!lock || lock_exclusively(lock.get()) != 0) {
    return system_error(errno, "cannot lock a temporary file", path);
  }
  struct stat there {};
  struct stat ours {};
  const bool found = sys().fstatat(parent.get(), hidden.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0;
  if ((!found && errno != ENOENT) || sys().fstat(fd.get(), &ours) != 0) {
    return system_error(errno, "cannot examine it", path);
  }
  if (!found || there.st_ino != ours.st_ino) {
    temporary.clear();  // Taken for rubbish in the moment before it was locked.
    lock.reset();
    return false;
  }
  file.emplace(std::move(fd), path, durability);
  return true;
}

Result<void> FileTransaction::Rep::create(const struct stat& old) {
  for (int round = 0; !file; ++round) {
    if (round == kMaxRounds) return system_error(EAGAIN, "other savers never let go of it", path);
    FERRULE_CHECK(create_once());
  }
  if (!S_ISREG(old.st_mode)) return {};
  struct stat now {};
  if (sys().fstat(file->fd(), &now) != 0) return system_error(errno, "cannot examine it", path);
  if (now.st_uid != old.st_uid || now.st_gid != old.st_gid) {
    (void)sys().fchown(file->fd(), old.st_uid, old.st_gid);  // Only the superuser may.
  }
  if (sys().fchmod(file->fd(), old.st_mode & 07777) != 0) {
    return system_error(errno, "cannot keep the mode of the file", path);
  }
  return {};
}

Result<FileTransaction> FileTransaction::begin(const std::filesystem::path& path,
                                               Durability durability) {
  auto rep = std::make_unique<Rep>();
  rep->path = path;
  rep->durability = durability;
  if (!path.has_filename() || path.filename() == "." || path.filename() == ".." ||
      path.string().find('\0') != std::string::npos) {
    return base::at(base::invalid("TX-10", "expected the path of a file"), path);
  }
  FERRULE_TRY(const auto real, follow_links(path));
  rep->name = real.filename().string();
  FERRULE_CHECK(rep->open_parent(real.parent_path()));
  struct stat old {};
  if (sys().fstatat(rep->parent.get(), rep->name.c_str(), &old, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno != ENOENT) return system_error(errno, "cannot examine it", path);
    old = {};
  } else if (S_ISDIR(old.st_mode)) {
    return base::at(base::invalid("TX-10", "expected a file or nothing, found a directory"), path);
  } else if (!S_ISREG(old.st_mode)) {
    return base::at(base::unsupported("TX-10", "expected a regular file or nothing, found " +
                                                   std::string(kind_of(old.st_mode))),
                    path);
  }
  FERRULE_CHECK(rep->create(old));
  return FileTransaction(std::move(rep));
}

OutputFile& FileTransaction::file() noexcept { return *rep_->file; }

Result<void> FileTransaction::commit() {
  Rep& rep = *rep_;
  if (rep.temporary.empty()) {
    return base::at(base::invalid("TX-10", "it is committed already"), rep.path);
  }
  FERRULE_CHECK(rep.file->finish());
  FERRULE_CHECK(unless_canceled(rep.path));
  if (sys().renameat2(rep.parent.get(), rep.temporary.c_str(), rep.parent.get(), rep.name.c_str(),
                      0) != 0) {
    return system_error(errno, "cannot publish it", rep.path);
  }
  rep.temporary.clear();
  if (rep.durability != Durability::kFull) return {};
  const UniqueFd fd(
      uninterrupted([&] { return sys().openat(rep.parent.get(), ".", kFolderFlags, 0); }));
  if (uninterrupted([&] { return fd ? sys().fsync(fd.get()) : sys().syncfs(rep.lock.get()); }) !=
      0) {
    return system_error(errno, "it is saved, but its directory cannot be flushed to the disk",
                        rep.path);
  }
  return {};
}

}  // namespace ferrule::io
