// SPDX-License-Identifier: Apache-2.0
#include "io/transaction/staging.hpp"

#include <sys/file.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "base/try.hpp"
#include "io/exclusive_lock.hpp"
#include "io/open_regular.hpp"
#include "io/remove_tree.hpp"
#include "io/staged_file.hpp"
#include "io/syscalls.hpp"
#include "io/system_error.hpp"

namespace ferrule::io {

namespace {

constexpr const char* kRecord = "record";
constexpr std::uint64_t kMaxSwapRecord = std::uint64_t{1} << 30;
constexpr int kAttempts = 8;
constexpr int kMaxLevels = 16;

/// For directories that several machines see. Locks do not reach from one to the other there, so
/// the name of the stage must keep them apart.
bool is_shared_between_hosts(int dir) noexcept {
  struct statfs info {};
  if (::fstatfs(dir, &info) != 0) return false;
  switch (static_cast<unsigned long>(info.f_type) & 0xffffffffUL) {
    case 0x6969:      // NFS
    case 0x517b:      // SMB
    case 0xff534d42:  // CIFS
    case 0xfe534d42:  // SMB2
    case 0x01021997:  // 9p
    case 0x65735546:  // FUSE
    case 0x00c36400:  // Ceph
    case 0x0bd00bd0:  // Lustre
    case 0x47504653:  // GPFS
    case 0x5346414f:  // AFS
      return true;
    default:
      return false;
  }
}

class Fnv {
 public:
  void add(std::string_view text) {
    for (const char c : text) add_byte(static_cast<unsigned char>(c));
    add_byte(0);
  }
  std::string hex() const {
    std::string text(16, '0');
    std::uint64_t rest = hash_;
    for (auto digit = text.rbegin(); digit != text.rend(); ++digit, rest >>= 4) {
      *digit = "0123456789abcdef"[rest & 15];
    }
    return text;
  }

 private:
  void add_byte(unsigned char byte) { hash_ = (hash_ ^ byte) * 0x100000001b3ULL; }
  std::uint64_t hash_ = 0xcbf29ce484222325ULL;
};

}  // namespace

std::string hidden_name(int parent, const std::string& target_name, int attempt) {
  Fnv hash;
  hash.add(target_name);
  hash.add(std::to_string(::geteuid()));
  hash.add(std::to_string(attempt));
  if (is_shared_between_hosts(parent)) {
    std::array<char, 256> host{};
    if (::gethostname(host.data(), host.size() - 1) == 0) hash.add(host.data());
  }
  return ".ferrule-" + hash.hex();
}

std::vector<std::string> stages_of(const std::filesystem::path& target) {
  const auto directory = target.has_parent_path() ? target.parent_path() : ".";
  const UniqueFd parent(uninterrupted([&] {
    return sys().openat(AT_FDCWD, directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
  }));
  std::vector<std::string> names;
  if (!parent) return names;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    names.push_back(hidden_name(parent.get(), target.filename().string(), attempt));
  }
  return names;
}

Staging::Staging(int parent, std::string name, std::filesystem::path path) noexcept
    : parent_(parent), name_(std::move(name)), path_(std::move(path)) {}

Staging::Staging(Staging&& other) noexcept
    : parent_(other.parent_),
      name_(std::move(other.name_)),
      path_(std::move(other.path_)),
      fd_(std::move(other.fd_)),
      owned_(std::exchange(other.owned_, false)),
      cleared_(other.cleared_) {}

Staging& Staging::operator=(Staging&& other) noexcept {
  std::swap(parent_, other.parent_);
  std::swap(name_, other.name_);
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(owned_, other.owned_);
  std::swap(cleared_, other.cleared_);
  return *this;
}

Staging::~Staging() {
  if (!owned_ || !fd_) return;
  if (cleared_) (void)clear(-1).has_value();
  // Before the lock goes: a saver that waits for it looks whether the folder is still there. It
  // stays if it is not empty, because then something in it is still to be saved.
  sys().unlinkat(parent_, name_.c_str(), AT_REMOVEDIR);
}

Result<std::optional<Staging>> Staging::acquire(int parent, const std::string& target_name,
                                                const std::filesystem::path& path) {
  for (int attempt = 0; attempt < kAttempts;) {
    Staging staging(parent, hidden_name(parent, target_name, attempt), path);
    const bool made = sys().mkdirat(parent, staging.name_.c_str(), 0700) == 0;
    if (!made && (errno == EACCES || errno == EPERM || errno == EROFS)) {
      return std::optional<Staging>();
    }
    if (!made && errno != EEXIST) {
      return system_error(errno, "cannot create a folder next to it", path);
    }
    auto locked = staging.lock();
    if (!locked) {
      if (made) sys().unlinkat(parent, staging.name_.c_str(), AT_REMOVEDIR);
      return std::move(locked).error();
    }
    if (*locked == Attempt::kOwned) return std::optional<Staging>(std::move(staging));
    if (*locked == Attempt::kForeign) ++attempt;
  }
  return system_error(EEXIST, "cannot create a folder next to it", path);
}

void Staging::sweep_above(const std::filesystem::path& directory) {
  std::filesystem::path at = directory;
  for (int level = 0; level < kMaxLevels && at.has_relative_path(); ++level) {
    const std::string name = at.filename().string();
    at = at.parent_path();
    const UniqueFd parent(uninterrupted(
        [&] { return sys().openat(AT_FDCWD, at.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC, 0); }));
    if (!parent) return;
    Staging left(parent.get(), hidden_name(parent.get(), name, 0), directory);
    left.fd_ = UniqueFd(
        sys().openat(parent.get(), left.name_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0));
    struct stat info {};
    // One that is locked is at work; one with a record belongs to the next saver of that name.
    left.owned_ = left.fd_ && sys().flock(left.fd_.get(), LOCK_EX | LOCK_NB) == 0 &&
                  sys().fstatat(left.fd_.get(), kRecord, &info, AT_SYMLINK_NOFOLLOW) != 0 &&
                  errno == ENOENT;
    left.cleared_ = left.owned_;
  }
}

Result<Staging::Attempt> Staging::lock() {
  fd_ = UniqueFd(uninterrupted([&] {
    return sys().openat(parent_, name_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
  }));
  if (!fd_) {
    if (errno == ENOENT) return Attempt::kGone;
    if (errno == ENOTDIR || errno == ELOOP) return Attempt::kForeign;
  }
  struct stat ours {};
  if (!fd_ && errno == EACCES) {
    // Another user's, or the system's whim about our own: only the former is passed by.
    if (sys().fstatat(parent_, name_.c_str(), &ours, AT_SYMLINK_NOFOLLOW) == 0 &&
        ours.st_uid != ::geteuid()) {
      return Attempt::kForeign;
    }
    errno = EACCES;
  }
  if (!fd_ || sys().fstat(fd_.get(), &ours) != 0) {
    return system_error(errno, "cannot open a folder next to it", path_);
  }
  if (ours.st_uid != ::geteuid()) return Attempt::kForeign;
  if (lock_exclusively(fd_.get()) != 0) {
    return system_error(errno, "cannot lock it against other savers", path_);
  }
  struct stat there {};
  if (sys().fstatat(parent_, name_.c_str(), &there, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return Attempt::kGone;
    return system_error(errno, "cannot examine a folder next to it", path_);
  }
  if (there.st_ino != ours.st_ino || there.st_dev != ours.st_dev) return Attempt::kGone;
  owned_ = true;
  return Attempt::kOwned;
}

Result<void> Staging::write_record(const Carried& carried) {
  FERRULE_CHECK(remove_tree(fd_.get(), kRecord, path_));
  UniqueFd fd(uninterrupted([&] {
    return sys().openat(fd_.get(), kRecord, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  }));
  if (!fd) return system_error(errno, "cannot write a record of the save", path_);
  // Not flushed: it matters for what another program creates in the moment of the swap, and only
  // if the power fails in that same moment.
  StagedFile file(std::move(fd), path_, Durability::kFast);
  const std::string text = carried.encode();
  FERRULE_CHECK(file.write(std::as_bytes(std::span(text))));
  return file.finish();
}

Result<std::optional<Carried>> Staging::read_record() const {
  auto opened = open_regular(fd_.get(), kRecord, path_);
  if (!opened) {
    if (opened.error().code == ErrorCode::kNotFound) return std::optional<Carried>();
    return std::move(opened).error();
  }
  if (opened->size > kMaxSwapRecord) return std::optional<Carried>();
  FERRULE_TRY(const std::string text, read_opened(*opened, kMaxSwapRecord, path_));
  return Carried::decode(text);
}

Result<void> Staging::bring_what_appeared(int current, const std::optional<Carried>& record) const {
  if (!record) return {};
  const UniqueFd held(uninterrupted(
      [&] { return sys().openat(fd_.get(), kNew, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0); }));
  if (!held && errno == ENOENT) return {};
  struct stat info {};
  if (!held || sys().fstat(held.get(), &info) != 0) {
    return system_error(errno, "cannot examine what a save left", path_);
  }
  if (info.st_ino == record->staged_inode) return {};  // It was never swapped in.
  return bring_changes(held.get(), current, *record, path_);
}

Result<void> Staging::empty() {
  cleared_ = true;
  // The record goes first: with it, a half removed folder would look like the user's removals.
  FERRULE_CHECK(remove_tree(fd_.get(), kRecord, path_));
  return remove_tree(fd_.get(), kNew, path_);
}

Result<void> Staging::clear(int current) {
  cleared_ = current < 0;
  if (current >= 0) {
    FERRULE_TRY(const auto record, read_record());
    FERRULE_CHECK(bring_what_appeared(current, record));
  }
  return empty();
}

Result<void> Staging::clear_after_swap(int current, const Carried& carried) {
  cleared_ = false;
  FERRULE_CHECK(bring_what_appeared(current, carried));
  (void)empty().has_value();
  return {};
}

}  // namespace ferrule::io
