// SPDX-License-Identifier: Apache-2.0
#include "io/transaction/directory_tree.hpp"

#include <dirent.h>
#include <linux/fs.h>

#include <array>
#include <charconv>
#include <system_error>
#include <utility>
#include <vector>

#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "io/folder_flags.hpp"
#include "io/list_directory.hpp"
#include "io/our_name.hpp"
#include "io/syscalls.hpp"
#include "io/system_error.hpp"
#include "io/transaction/target.hpp"
#include "io/unique_fd.hpp"

namespace ferrule::io {

namespace {

// Each level holds two descriptors and a frame. Deeper trees are not swapped but changed in place.
constexpr int kMaxTreeDepth = 64;

/// The answer means that this cannot be done here at all, not that it went wrong.
bool is_impossible(int number) noexcept {
  return number == EPERM || number == EACCES || number == EXDEV || number == EMLINK ||
         number == EOPNOTSUPP || number == ENOSYS || number == EINVAL;
}

UniqueFd open_folder(int dir, const std::string& name) {
  return UniqueFd(uninterrupted([&] { return sys().openat(dir, name.c_str(), kFolderFlags, 0); }));
}

class Carrier {
 public:
  Carrier(Carried& carried, Durability durability, const std::filesystem::path& path)
      : carried_(carried), durability_(durability), path_(path) {}

  Result<bool> folder(int from, int to, const std::string& prefix, int depth) {
    FERRULE_TRY(const auto entries, list_directory(from, path_));
    for (const auto& entry : entries) {
      if (is_our_name(entry.name)) continue;
      FERRULE_TRY(const unsigned char type, entry_type(from, entry, path_));
      if (type == DT_DIR) {
        FERRULE_TRY(const bool done, subfolder(from, to, prefix + entry.name, entry.name, depth));
        if (!done) return false;
      } else if (type != DT_UNKNOWN && carried_.managed.count(prefix + entry.name) == 0) {
        FERRULE_TRY(const bool done, file(from, to, prefix + entry.name, entry, type));
        if (!done) return false;
      }
    }
    return true;
  }

 private:
  Result<bool> file(int from, int to, const std::string& place, const DirectoryEntry& entry,
                    unsigned char type) {
    const char* name = entry.name.c_str();
    if (sys().linkat(from, name, to, name, 0) != 0) {
      if (errno == ENOENT) return true;  // Gone meanwhile.
      if (!is_impossible(errno)) {
        return system_error(errno, "cannot link " + quote(place), path_);
      }
      if (type != DT_LNK) return false;
      FERRULE_TRY(const bool made, link_again(from, to, name, place));
      if (!made) return false;
    }
    carried_.files.emplace(place, entry.inode);
    return true;
  }

  /// For file systems that give a symbolic link no second name.
  Result<bool> link_again(int from, int to, const char* name, const std::string& place) {
    std::array<char, 4097> content;
    const ssize_t size = sys().readlinkat(from, name, content.data(), content.size() - 1);
    if (size < 0) return system_error(errno, "cannot read the link " + quote(place), path_);
    content[static_cast<std::size_t>(size)] = '\0';
    if (sys().symlinkat(content.data(), to, name) == 0) return true;
    if (is_impossible(errno)) return false;
    return system_error(errno, "cannot link " + quote(place), path_);
  }

  Result<bool> subfolder(int from, int to, const std::string& place, const std::string& name,
                         int depth) {
    const UniqueFd old = open_folder(from, name);
    if (!old) {
      if (errno == ENOENT) return true;
      if (is_impossible(errno)) return false;
      return system_error(errno, "cannot open " + quote(place), path_);
    }
    if (depth >= kMaxTreeDepth || is_mount_point(old.get())) return false;
    struct stat info {};
    if (sys().fstat(old.get(), &info) != 0) {
      return system_error(errno, "cannot examine " + quote(place), path_);
    }
    if (sys().mkdirat(to, name.c_str(), 0777) != 0 && errno != EEXIST) {
      return system_error(errno, "cannot create " + quote(place), path_);
    }
    const UniqueFd made = open_folder(to, name);
    if (!made) return system_error(errno, "cannot open " + quote(place), path_);
    carried_.folders.insert(place);
    FERRULE_TRY(bool done, copy_attributes(old.get(), made.get(), path_));
    if (!done) return false;
    FERRULE_TRY(done, folder(old.get(), made.get(), place + "/", depth + 1));
    if (!done) return false;
    FERRULE_TRY(done, copy_owner_and_mode(info, made.get(), path_));
    if (!done) return false;
    return finish(info, made.get(), place);
  }

  Result<bool> finish(const struct stat& info, int made, const std::string& place) {
    const struct timespec times[2] = {info.st_atim, info.st_mtim};
    if (sys().futimens(made, times) != 0 && !is_impossible(errno)) {
      return system_error(errno, "cannot set the times of " + quote(place), path_);
    }
    if (durability_ != Durability::kFast && uninterrupted([&] { return sys().fsync(made); }) != 0) {
      return system_error(errno, "cannot flush " + quote(place) + " to the disk", path_);
    }
    return true;
  }

  Carried& carried_;
  Durability durability_;
  const std::filesystem::path& path_;
};

Result<std::vector<std::string>> attribute_names(int fd, const std::filesystem::path& path) {
  std::array<char, 65536> list;  // XATTR_LIST_MAX
  const ssize_t size = sys().flistxattr(fd, list.data(), list.size());
  std::vector<std::string> names;
  if (size < 0) {
    if (errno == EOPNOTSUPP || errno == ENOSYS) return names;
    return system_error(errno, "cannot list the attributes of the directory", path);
  }
  for (std::size_t at = 0; at < static_cast<std::size_t>(size);) {
    const std::string name(list.data() + at);
    at += name.size() + 1;
    // The other classes belong to the system: labels, quotas, layers.
    if (name.rfind("user.", 0) == 0 || name.rfind("system.posix_acl_", 0) == 0) {
      names.push_back(name);
    }
  }
  return names;
}

Result<void> bring(int old, int current, const Carried& carried, std::set<std::string>& seen,
                   const std::string& prefix, const std::filesystem::path& path);

Result<void> bring_folder(int old, int current, const Carried& carried, std::set<std::string>& seen,
                          const std::string& name, const std::string& place,
                          const std::filesystem::path& path) {
  if (carried.folders.count(place) == 0 &&
      sys().renameat2(old, name.c_str(), current, name.c_str(), RENAME_NOREPLACE) == 0) {
    return {};
  }
  const UniqueFd from = open_folder(old, name);
  const UniqueFd to = open_folder(current, name);
  if (!from || !to) {
    if (errno == ENOENT) return {};
    return system_error(errno, "cannot open " + quote(place), path);
  }
  return bring(from.get(), to.get(), carried, seen, place + "/", path);
}

Result<void> bring(int old, int current, const Carried& carried, std::set<std::string>& seen,
                   const std::string& prefix, const std::filesystem::path& path) {
  FERRULE_TRY(const auto entries, list_directory(old, path));
  for (const auto& entry : entries) {
    const std::string place = prefix + entry.name;
    if (is_our_name(entry.name) || carried.managed.count(place) != 0) continue;
    FERRULE_TRY(const unsigned char type, entry_type(old, entry, path));
    if (type == DT_DIR) {
      FERRULE_CHECK(bring_folder(old, current, carried, seen, entry.name, place, path));
      continue;
    }
    seen.insert(place);
    const auto known = carried.files.find(place);
    if (known != carried.files.end() && known->second == entry.inode) continue;
    // Known, but another file: it was replaced meanwhile, and the newer one counts. Unknown: it
    // appeared meanwhile; if the new directory has that name too, that one is newer still.
    const unsigned flags = known != carried.files.end() ? 0U : unsigned{RENAME_NOREPLACE};
    const char* name = entry.name.c_str();
    if (sys().renameat2(old, name, current, name, flags) != 0 && errno != EEXIST &&
        errno != ENOENT) {
      return system_error(errno, "cannot bring over " + quote(place), path);
    }
  }
  return {};
}

}  // namespace

std::string Carried::encode() const {
  std::string text = "ferrule swap 1";
  text += '\0' + std::to_string(staged_inode) + '\0';
  const auto add = [&text](char kind, const std::string& name) { text += kind + name + '\0'; };
  for (const auto& [name, inode] : files) {
    add('f', name);
    text += std::to_string(inode) + '\0';
  }
  for (const auto& name : folders) add('d', name);
  for (const auto& name : managed) add('m', name);
  return text + "end" + '\0';
}

std::optional<Carried> Carried::decode(std::string_view text) {
  const auto field = [&text]() -> std::optional<std::string> {
    const std::size_t end = text.find('\0');
    if (end == text.npos) return std::nullopt;
    std::string value(text.substr(0, end));
    text.remove_prefix(end + 1);
    return value;
  };
  const auto number = [&field]() -> std::optional<std::uint64_t> {
    const auto digits = field();
    if (!digits) return std::nullopt;
    std::uint64_t value = 0;
    const char* const end = digits->data() + digits->size();
    const auto [stop, failure] = std::from_chars(digits->data(), end, value);
    if (failure != std::errc() || stop != end) return std::nullopt;
    return value;
  };
  if (field() != "ferrule swap 1") return std::nullopt;
  const auto staged = number();
  if (!staged) return std::nullopt;
  Carried carried;
  carried.staged_inode = *staged;
  for (auto next = field(); next; next = field()) {
    if (*next == "end") return text.empty() ? std::optional(std::move(carried)) : std::nullopt;
    const std::string name = next->empty() ? std::string() : next->substr(1);
    if (!is_plain_path(name)) return std::nullopt;
    switch (next->front()) {
      case 'f': {
        const auto inode = number();
        if (!inode) return std::nullopt;
        carried.files.emplace(name, *inode);
        break;
      }
      case 'd':
        carried.folders.insert(name);
        break;
      case 'm':
        carried.managed.insert(name);
        break;
      default:
        return std::nullopt;
    }
  }
  return std::nullopt;
}

Result<bool> carry_over(int from, int to, Carried& carried, Durability durability,
                        const std::filesystem::path& path) {
  const UniqueFd listed(uninterrupted([&] { return sys().openat(from, ".", kFolderFlags, 0); }));
  if (!listed) return system_error(errno, "cannot open the directory", path);
  return Carrier(carried, durability, path).folder(listed.get(), to, "", 0);
}

Result<bool> copy_attributes(int from, int to, const std::filesystem::path& path) {
  FERRULE_TRY(const auto wanted, attribute_names(from, path));
  FERRULE_TRY(const auto present, attribute_names(to, path));
  std::vector<char> value(65536);     // XATTR_SIZE_MAX
  for (const auto& name : present) {  // Inherited from the parent's default access list.
    if (sys().fremovexattr(to, name.c_str()) != 0 && errno != ENODATA) {
      if (is_impossible(errno)) return false;
      return system_error(errno, "cannot set the attribute " + quote(name), path);
    }
  }
  for (const auto& name : wanted) {
    const ssize_t size = sys().fgetxattr(from, name.c_str(), value.data(), value.size());
    if (size < 0 && errno == ENODATA) continue;
    if (size < 0 ||
        sys().fsetxattr(to, name.c_str(), value.data(), static_cast<std::size_t>(size), 0) != 0) {
      if (is_impossible(errno)) return false;
      return system_error(errno, "cannot copy the attribute " + quote(name), path);
    }
  }
  return true;
}

Result<bool> copy_owner_and_mode(const struct stat& from, int to,
                                 const std::filesystem::path& path) {
  struct stat now {};
  if (sys().fstat(to, &now) != 0) return system_error(errno, "cannot examine it", path);
  if ((now.st_uid != from.st_uid || now.st_gid != from.st_gid) &&
      sys().fchown(to, from.st_uid, from.st_gid) != 0) {
    if (is_impossible(errno)) return false;
    return system_error(errno, "cannot keep the owner of the directory", path);
  }
  if (sys().fchmod(to, from.st_mode & 07777) != 0) {
    return system_error(errno, "cannot keep the mode of the directory", path);
  }
  return true;
}

Result<void> bring_changes(int old, int current, const Carried& carried,
                           const std::filesystem::path& path) {
  const UniqueFd listed(uninterrupted([&] { return sys().openat(old, ".", kFolderFlags, 0); }));
  if (!listed) return system_error(errno, "cannot open the old directory", path);
  std::set<std::string> seen;
  FERRULE_CHECK(bring(listed.get(), current, carried, seen, "", path));
  for (const auto& [place, inode] : carried.files) {
    if (seen.count(place) != 0) continue;
    // Removed meanwhile. Only the link that was made here goes, nothing that came since.
    auto found = open_parent(current, place, path);
    if (!found) continue;
    struct stat info {};
    const char* name = found->name.c_str();
    if (sys().fstatat(found->folder.get(), name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
        info.st_ino == inode) {
      sys().unlinkat(found->folder.get(), name, 0);
    }
  }
  return {};
}

}  // namespace ferrule::io
