// SPDX-License-Identifier: Apache-2.0
#include "io/directory_transaction.hpp"

#include <map>
#include <vector>

#include "base/try.hpp"
#include "io/input_file.hpp"
#include "io/syscalls.hpp"
#include "io/system_error.hpp"

namespace ferrule::io {

struct DirectoryTransaction::Rep {
  std::filesystem::path path;
  Durability durability = Durability::kSafe;
  std::map<std::string, FileTransaction> files;
  std::vector<std::string> removed;
};

DirectoryTransaction::DirectoryTransaction(std::unique_ptr<Rep> rep) noexcept
    : rep_(std::move(rep)) {}
DirectoryTransaction::DirectoryTransaction(DirectoryTransaction&&) noexcept = default;
DirectoryTransaction& DirectoryTransaction::operator=(DirectoryTransaction&&) noexcept = default;
DirectoryTransaction::~DirectoryTransaction() = default;

Result<DirectoryTransaction> DirectoryTransaction::begin(const std::filesystem::path& directory,
                                                         Durability durability) {
  auto rep = std::make_unique<Rep>();
  rep->path = directory;
  rep->durability = durability;
  return DirectoryTransaction(std::move(rep));
}

Result<OutputFile*> DirectoryTransaction::create(std::string_view name) {
  const std::filesystem::path path = rep_->path / name;
  std::error_code failed;
  std::filesystem::create_directories(path.parent_path(), failed);
  if (failed)
    return system_error(failed.value(), "cannot create the directory", path.parent_path());
  FERRULE_TRY(auto file, FileTransaction::begin(path, rep_->durability));
  return &rep_->files.insert_or_assign(std::string(name), std::move(file)).first->second.file();
}

Result<void> DirectoryTransaction::create(std::string_view name, std::string_view content) {
  FERRULE_TRY(OutputFile * file, create(name));
  return file->write(std::as_bytes(std::span(content)));
}

Result<void> DirectoryTransaction::remove(std::string_view name) {
  rep_->removed.emplace_back(name);
  return {};
}

Result<std::optional<std::string>> DirectoryTransaction::existing(std::string_view name,
                                                                  std::uint64_t limit) const {
  auto file = InputFile::open(rep_->path / name);
  if (!file && file.error().code != ErrorCode::kIo) return std::optional<std::string>();
  if (!file) return std::move(file).error();
  FERRULE_TRY(auto text, file->read_text(limit));
  return std::optional<std::string>(std::move(text));
}

Result<void> DirectoryTransaction::commit() {
  for (auto& [name, file] : rep_->files) FERRULE_CHECK(file.commit());
  for (const auto& name : rep_->removed) {
    if (sys().unlinkat(AT_FDCWD, (rep_->path / name).c_str(), 0) != 0 && errno != ENOENT) {
      return system_error(errno, "cannot remove it", rep_->path / name);
    }
  }
  return {};
}

}  // namespace ferrule::io
