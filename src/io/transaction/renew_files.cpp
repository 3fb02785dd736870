// SPDX-License-Identifier: Apache-2.0
#include "io/transaction/renew_files.hpp"

#include <set>

#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "io/folder_flags.hpp"
#include "io/remove_tree.hpp"
#include "io/syscalls.hpp"
#include "io/system_error.hpp"
#include "io/transaction/target.hpp"

namespace ferrule::io {

namespace {

constexpr const char* kTemporary = ".ferrule-stage";

Result<void> renew_file(int old, const OpenedParent& from, const std::string& name,
                        const std::filesystem::path& path) {
  FERRULE_CHECK(make_folders(old, name, path));
  FERRULE_TRY(const OpenedParent to, open_parent(old, name, path));
  FERRULE_CHECK(remove_tree(to.folder.get(), kTemporary, path));
  if (sys().linkat(from.folder.get(), from.name.c_str(), to.folder.get(), kTemporary, 0) != 0 ||
      sys().renameat2(to.folder.get(), kTemporary, to.folder.get(), to.name.c_str(), 0) != 0) {
    return system_error(errno, "cannot renew " + quote(name), path);
  }
  return {};
}

Result<void> remove_file(int old, const std::string& name, const std::filesystem::path& path) {
  auto place = open_parent(old, name, path);
  if (!place && place.error().code == ErrorCode::kNotFound) return {};
  if (!place) return std::move(place).error();
  if (sys().unlinkat(place->folder.get(), place->name.c_str(), 0) != 0 && errno != ENOENT) {
    return system_error(errno, "cannot remove " + quote(name), path);
  }
  return {};
}

Result<void> flush(int old, const std::set<std::string>& folders,
                   const std::filesystem::path& path) {
  for (const auto& folder : folders) {
    const UniqueFd fd(
        uninterrupted([&] { return sys().openat(old, folder.c_str(), kFolderFlags, 0); }));
    if (!fd || uninterrupted([&] { return sys().fsync(fd.get()); }) != 0) {
      return system_error(errno, "cannot flush the directory to the disk", path);
    }
  }
  return {};
}

}  // namespace

Result<void> renew_files(int old, int current, const Carried& carried, Durability durability,
                         const std::filesystem::path& path) {
  std::set<std::string> folders = {"."};
  for (const auto& name : carried.managed) {
    auto from = open_parent(current, name, path);
    struct stat info {};
    const bool there = from && sys().fstatat(from->folder.get(), from->name.c_str(), &info,
                                             AT_SYMLINK_NOFOLLOW) == 0;
    if (!there && from && errno != ENOENT) return system_error(errno, "cannot examine it", path);
    if (!there && !from && from.error().code != ErrorCode::kNotFound) {
      return std::move(from).error();
    }
    FERRULE_CHECK(there ? renew_file(old, *from, name, path) : remove_file(old, name, path));
    for (std::size_t at = name.find('/'); there && at != name.npos; at = name.find('/', at + 1)) {
      folders.insert(name.substr(0, at));
    }
  }
  return durability == Durability::kFast ? Result<void>() : flush(old, folders, path);
}

}  // namespace ferrule::io
