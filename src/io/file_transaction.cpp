// SPDX-License-Identifier: Apache-2.0
#include <optional>
#include <string>

#include "base/try.hpp"
#include "io/directory_transaction.hpp"
#include "io/staged_file.hpp"
#include "io/syscalls.hpp"
#include "io/system_error.hpp"

namespace ferrule::io {

struct FileTransaction::Rep {
  std::filesystem::path path;  // As the caller named it.
  std::string directory;       // Of the file itself, links followed.
  std::string name;
  std::string temporary;
  UniqueFd parent;
  std::optional<StagedFile> file;
  Durability durability = Durability::kSafe;
  bool published = false;

  ~Rep() {
    if (!published && parent) sys().unlinkat(parent.get(), temporary.c_str(), 0);
  }
};

FileTransaction::FileTransaction(std::unique_ptr<Rep> rep) noexcept : rep_(std::move(rep)) {}
FileTransaction::FileTransaction(FileTransaction&&) noexcept = default;
FileTransaction& FileTransaction::operator=(FileTransaction&&) noexcept = default;
FileTransaction::~FileTransaction() = default;

Result<FileTransaction> FileTransaction::begin(const std::filesystem::path& path,
                                               Durability durability) {
  auto rep = std::make_unique<Rep>();
  rep->path = path;
  rep->durability = durability;
  rep->directory = path.has_parent_path() ? path.parent_path().string() : ".";
  rep->name = path.filename().string();
  rep->temporary = ".ferrule-" + rep->name;
  rep->parent = UniqueFd(sys().openat(AT_FDCWD, rep->directory.c_str(), O_PATH | O_DIRECTORY, 0));
  if (!rep->parent) return open_error(errno, "cannot open its directory", path);
  UniqueFd fd(sys().openat(rep->parent.get(), rep->temporary.c_str(),
                           O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0666));
  if (!fd) return system_error(errno, "cannot create it", path);
  struct stat old {};
  if (sys().fstatat(rep->parent.get(), rep->name.c_str(), &old, 0) == 0) {
    sys().fchmod(fd.get(), old.st_mode & 07777);
  }
  rep->file.emplace(std::move(fd), path, durability);
  return FileTransaction(std::move(rep));
}

OutputFile& FileTransaction::file() noexcept { return *rep_->file; }

Result<void> FileTransaction::commit() {
  FERRULE_CHECK(rep_->file->finish());
  if (sys().renameat2(rep_->parent.get(), rep_->temporary.c_str(), rep_->parent.get(),
                      rep_->name.c_str(), 0) != 0) {
    return system_error(errno, "cannot publish it", rep_->path);
  }
  rep_->published = true;
  return {};
}

}  // namespace ferrule::io
