// SPDX-License-Identifier: Apache-2.0
#include "io/remove_tree.hpp"

#include <dirent.h>

#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "io/list_directory.hpp"
#include "io/syscalls.hpp"
#include "io/system_error.hpp"
#include "io/unique_fd.hpp"

namespace ferrule::io {
namespace {

constexpr int kMaxDepth = 64;  // Each level holds a descriptor and a frame.

/// Removes an entry of `folder`, which is about to go itself and so may be made writable for that.
bool remove_entry(int folder, const std::string& name, int flags) {
  const auto gone = [&] {
    return sys().unlinkat(folder, name.c_str(), flags) == 0 || errno == ENOENT;
  };
  return gone() || (errno == EACCES && sys().fchmod(folder, 0700) == 0 && gone());
}

/// Removes all that the folder `name` of `dir` holds, and then not the folder itself.
Result<void> empty_folder(int dir, const std::string& name, const std::filesystem::path& path,
                          int depth) {
  const UniqueFd folder(uninterrupted([&] {
    return sys().openat(dir, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
  }));
  if (!folder) {
    if (errno == ENOENT) return {};
    return system_error(errno, "cannot open " + quote(name), path);
  }
  if (depth > kMaxDepth) return system_error(ELOOP, "cannot remove " + quote(name), path);
  FERRULE_TRY(const auto entries, list_directory(folder.get(), path));
  for (const auto& entry : entries) {
    FERRULE_TRY(const unsigned char type, entry_type(folder.get(), entry, path));
    if (type == DT_DIR) FERRULE_CHECK(empty_folder(folder.get(), entry.name, path, depth + 1));
    if (!remove_entry(folder.get(), entry.name, type == DT_DIR ? AT_REMOVEDIR : 0)) {
      return system_error(errno, "cannot remove " + quote(entry.name), path);
    }
  }
  return {};
}

}  // namespace

Result<void> remove_tree(int dir, const std::string& name, const std::filesystem::path& path) {
  if (sys().unlinkat(dir, name.c_str(), 0) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR && errno != EPERM) {
    return system_error(errno, "cannot remove " + quote(name), path);
  }
  FERRULE_CHECK(empty_folder(dir, name, path, 0));
  // `dir` itself is not ours to change.
  if (sys().unlinkat(dir, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return {};
  return system_error(errno, "cannot remove " + quote(name), path);
}

Result<void> discard_tree(const std::filesystem::path& path) {
  return remove_tree(AT_FDCWD, path.string(), path);
}

}  // namespace ferrule::io
