// SPDX-License-Identifier: Apache-2.0
#include "io/transaction/directory_reader.hpp"

#include <algorithm>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "io/list_directory.hpp"
#include "io/open_regular.hpp"
#include "io/syscalls.hpp"
#include "io/system_error.hpp"
#include "io/transaction/in_place.hpp"

namespace ferrule::io {

Result<DirectoryReader> DirectoryReader::open(const std::filesystem::path& path) {
  UniqueFd fd(uninterrupted(
      [&] { return sys().openat(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0); }));
  if (!fd) {
    if (errno != ENOTDIR) return open_error(errno, "cannot open the directory", path);
    auto error = base::at(base::unsupported("expected a directory"), path);
    error.system_errno = ENOTDIR;
    return error;
  }
  FERRULE_CHECK(settle_pending(fd.get(), path));
  return DirectoryReader(std::move(fd), path);
}

Result<std::optional<InputFile>> DirectoryReader::open_file(std::string_view name) const {
  const std::filesystem::path path = path_ / name;
  if (name.empty() || name == "." || name == ".." || name.find('/') != name.npos ||
      name.find('\0') != name.npos) {
    return base::at(base::invalid("expected a plain file name, found " + quote(name)), path_);
  }
  auto opened = open_regular(fd_.get(), std::string(name).c_str(), path);
  if (!opened) {
    if (opened.error().code == ErrorCode::kNotFound) return std::optional<InputFile>();
    return std::move(opened).error();
  }
  return std::optional<InputFile>(InputFile(std::move(*opened), path));
}

Result<std::vector<std::string>> DirectoryReader::names() const {
  // Another descriptor, because a position is read and moved.
  UniqueFd fd(uninterrupted(
      [&] { return sys().openat(fd_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0); }));
  if (!fd) return system_error(errno, "cannot open the directory", path_);
  FERRULE_TRY(auto entries, list_directory(fd.get(), path_));
  std::vector<std::string> names;
  names.reserve(entries.size());
  for (auto& entry : entries) names.push_back(std::move(entry.name));
  std::sort(names.begin(), names.end());
  return names;
}

bool DirectoryReader::was_replaced() const {
  struct stat ours {};
  struct stat there {};
  if (sys().fstat(fd_.get(), &ours) != 0) return false;
  if (sys().fstatat(AT_FDCWD, path_.c_str(), &there, 0) != 0) return true;
  return ours.st_ino != there.st_ino || ours.st_dev != there.st_dev;
}

}  // namespace ferrule::io
