// SPDX-License-Identifier: Apache-2.0
#include "io/folder.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <span>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "io/list_directory.hpp"
#include "io/staged_file.hpp"
#include "io/syscalls.hpp"
#include "io/system_error.hpp"

namespace ferrule::io {
namespace {

Result<UniqueFd> open_directory(int dir, const char* name, int flags,
                                const std::filesystem::path& path) {
  UniqueFd fd(
      uninterrupted([&] { return sys().openat(dir, name, O_RDONLY | O_DIRECTORY | flags, 0); }));
  if (!fd) return open_error(errno, "cannot open the directory", path);
  return fd;
}

/// Makes what is missing of it.
Result<void> make_directories(const std::filesystem::path& path, MadeFolders* made) {
  const auto make = [&] {
    const bool is_new = sys().mkdirat(AT_FDCWD, path.c_str(), 0777) == 0;
    if (is_new && made != nullptr) made->add(path);
    return is_new || errno == EEXIST;
  };
  if (make()) return {};
  const auto parent = path.parent_path();
  if (errno != ENOENT || parent.empty() || parent == path) {
    return system_error(errno, "cannot make the directory", path);
  }
  FERRULE_CHECK(make_directories(parent, made));
  if (make()) return {};
  return system_error(errno, "cannot make the directory", path);
}

}  // namespace

std::string scratch_name() {
  static std::atomic<std::uint64_t> counter{0};
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  const auto here = reinterpret_cast<std::uintptr_t>(&counter);  // Differs among processes.
  return ".ferrule-" + std::to_string(now) + "-" + std::to_string(here % 1'000'000'007U) + "-" +
         std::to_string(++counter);
}

MadeFolders::~MadeFolders() {
  while (!paths_.empty() && sys().unlinkat(AT_FDCWD, paths_.back().c_str(), AT_REMOVEDIR) == 0) {
    paths_.pop_back();
  }
}

Result<Folder> Folder::make(const std::filesystem::path& path, MadeFolders* made) {
  auto standing = open_directory(AT_FDCWD, path.c_str(), 0, path);
  if (!standing) {
    if (standing.error().system_errno != ENOENT) return std::move(standing).error();
    FERRULE_CHECK(make_directories(path, made));
    standing = open_directory(AT_FDCWD, path.c_str(), 0, path);
    if (!standing) return std::move(standing).error();
  }
  return Folder(std::move(*standing), path);
}

Result<std::optional<Folder>> Folder::open(const std::filesystem::path& path) {
  auto fd = open_directory(AT_FDCWD, path.c_str(), 0, path);
  if (!fd) {
    if (fd.error().code == ErrorCode::kNotFound) return std::optional<Folder>();
    return std::move(fd).error();
  }
  return std::optional<Folder>(Folder(std::move(*fd), path));
}

Result<std::optional<Folder>> Folder::step(const std::string& name, bool make) const {
  const auto inner = path_ / name;
  if (make && sys().mkdirat(fd_.get(), name.c_str(), 0777) != 0 && errno != EEXIST) {
    return system_error(errno, "cannot make the directory", inner);
  }
  auto fd = open_directory(fd_.get(), name.c_str(), O_NOFOLLOW, inner);
  if (!fd) {
    if (fd.error().code == ErrorCode::kNotFound && !make) return std::optional<Folder>();
    return std::move(fd).error();
  }
  return std::optional<Folder>(Folder(std::move(*fd), inner));
}

Result<std::optional<Folder>> Folder::walk(std::string_view relative, bool make) const {
  FERRULE_TRY(auto own, open_directory(fd_.get(), ".", 0, path_));
  std::optional<Folder> current = Folder(std::move(own), path_);
  while (!relative.empty()) {
    const auto slash = relative.find('/');
    const std::string name(relative.substr(0, slash));
    relative = slash == std::string_view::npos ? std::string_view() : relative.substr(slash + 1);
    if (name.empty() || name == "." || name == "..") {
      return base::at(base::invalid("expected plain names between slashes, found " + quote(name)),
                      path_);
    }
    FERRULE_TRY(current, current->step(name, make));
    if (!current) return std::optional<Folder>();
  }
  return current;
}

Result<Folder> Folder::make_below(std::string_view relative) const {
  FERRULE_TRY(auto folder, walk(relative, true));
  return std::move(*folder);
}

Result<std::optional<Folder>> Folder::open_below(std::string_view relative) const {
  return walk(relative, false);
}

Result<EntryKind> Folder::look(const std::string& name) const {
  struct stat info {};
  if (sys().fstatat(fd_.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return EntryKind::kNothing;
    return system_error(errno, "cannot examine it", path_ / name);
  }
  if (S_ISREG(info.st_mode)) return EntryKind::kFile;
  if (S_ISDIR(info.st_mode)) return EntryKind::kFolder;
  return S_ISLNK(info.st_mode) ? EntryKind::kLink : EntryKind::kOther;
}

Result<std::vector<std::string>> Folder::names() const {
  FERRULE_TRY(const auto own, open_directory(fd_.get(), ".", 0, path_));
  FERRULE_TRY(auto entries, list_directory(own.get(), path_));
  std::vector<std::string> names;
  for (auto& entry : entries) names.push_back(std::move(entry.name));
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::optional<std::string>> Folder::read_link(const std::string& name) const {
  std::array<char, 4096> content{};
  const ssize_t got = sys().readlinkat(fd_.get(), name.c_str(), content.data(), content.size());
  if (got >= 0)
    return std::optional<std::string>(std::string(content.data(), static_cast<std::size_t>(got)));
  if (errno == EINVAL || errno == ENOENT) return std::optional<std::string>();
  return system_error(errno, "cannot read the link", path_ / name);
}

Result<std::optional<OpenedFile>> Folder::open_file(const std::string& name) const {
  auto file = open_regular(fd_.get(), name.c_str(), path_ / name);
  if (file) return std::optional<OpenedFile>(std::move(*file));
  if (file.error().code == ErrorCode::kNotFound) return std::optional<OpenedFile>();
  return std::move(file).error();
}

Result<void> Folder::write(const std::string& name, std::string_view content) const {
  const auto scratch = scratch_name();
  UniqueFd fd(uninterrupted([&] {
    return sys().openat(fd_.get(), scratch.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0666);
  }));
  if (!fd) return system_error(errno, "cannot create a file", path_ / name);
  StagedFile file(std::move(fd), path_ / name, Durability::kFast);
  auto done = [&]() -> Result<void> {
    FERRULE_CHECK(file.write(std::as_bytes(std::span(content))));
    FERRULE_CHECK(file.finish());
    return move_to(scratch, *this, name);
  }();
  if (!done) (void)sys().unlinkat(fd_.get(), scratch.c_str(), 0);
  return done;
}

Result<void> Folder::link(const std::string& name, const std::string& content) const {
  const auto scratch = scratch_name();
  if (sys().symlinkat(content.c_str(), fd_.get(), scratch.c_str()) != 0) {
    return system_error(errno, "cannot make a link", path_ / name);
  }
  auto done = move_to(scratch, *this, name);
  if (!done) (void)sys().unlinkat(fd_.get(), scratch.c_str(), 0);
  return done;
}

Result<void> Folder::hard_link(const std::string& name, const Folder& to,
                               const std::string& as) const {
  const auto scratch = scratch_name();
  if (sys().linkat(fd_.get(), name.c_str(), to.fd_.get(), scratch.c_str(), AT_SYMLINK_FOLLOW) !=
      0) {
    return system_error(errno, "cannot give the file another name", to.path_ / as);
  }
  auto done = to.move_to(scratch, to, as);
  // Also if both names were of one file: the rename does nothing then.
  (void)sys().unlinkat(to.fd_.get(), scratch.c_str(), 0);
  return done;
}

Result<void> Folder::move_to(const std::string& name, const Folder& to,
                             const std::string& as) const {
  if (sys().renameat2(fd_.get(), name.c_str(), to.fd_.get(), as.c_str(), 0) == 0) return {};
  return system_error(errno, "cannot give the file its name", to.path_ / as);
}

Result<void> Folder::remove(const std::string& name) const {
  if (sys().unlinkat(fd_.get(), name.c_str(), 0) == 0 || errno == ENOENT) return {};
  return system_error(errno, "cannot remove it", path_ / name);
}

}  // namespace ferrule::io
