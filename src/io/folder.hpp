// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ferrule/result.hpp"
#include "io/file_identity.hpp"
#include "io/kind_at.hpp"
#include "io/open_regular.hpp"
#include "io/unique_fd.hpp"

namespace ferrule::io {

/// A hidden name that no other thread or process has.
std::string scratch_name();

/// The folders that were made on the way to a place. Destroyed without keep(), it removes those
/// that are empty: what was to be written there was not.
class MadeFolders {
 public:
  MadeFolders() = default;
  MadeFolders(const MadeFolders&) = delete;
  MadeFolders& operator=(const MadeFolders&) = delete;
  ~MadeFolders();

  /// After its parents.
  void add(const std::filesystem::path& path) { paths_.push_back(path); }
  void keep() noexcept { paths_.clear(); }

 private:
  std::vector<std::filesystem::path> paths_;
};

/// A directory opened once. Names below it are walked without going through any link, so that one
/// planted in it leads nowhere.
class Folder {
 public:
  /// Makes `path` and its missing parents, which are added to `made`. Links on the way to it are
  /// the caller's and are followed.
  static Result<Folder> make(const std::filesystem::path& path, MadeFolders* made = nullptr);
  /// nullopt if there is none.
  static Result<std::optional<Folder>> open(const std::filesystem::path& path);

  const std::filesystem::path& path() const noexcept { return path_; }
  int fd() const noexcept { return fd_.get(); }

  /// The folder `relative` ("a/b"; empty for this one), made if it is missing.
  Result<Folder> make_below(std::string_view relative) const;
  /// The same, or nullopt if it is missing.
  Result<std::optional<Folder>> open_below(std::string_view relative) const;

  Result<EntryKind> look(const std::string& name) const;
  /// Plain names, sorted.
  Result<std::vector<std::string>> names() const;
  /// What the link says, or nullopt if `name` is none.
  Result<std::optional<std::string>> read_link(const std::string& name) const;
  /// A regular file, or a link to one, opened for reading; nullopt if there is none.
  Result<std::optional<OpenedFile>> open_file(const std::string& name) const;

  /// The file appears whole or not at all, with a mode of the umask.
  Result<void> write(const std::string& name, std::string_view content) const;
  /// Puts a link in the place of whatever file or link has that name.
  Result<void> link(const std::string& name, const std::string& content) const;
  /// A second name, `as` in `to`, for the file `name` (or for the one that it links to).
  Result<void> hard_link(const std::string& name, const Folder& to, const std::string& as) const;
  Result<void> move_to(const std::string& name, const Folder& to, const std::string& as) const;
  /// Not an error if there is nothing.
  Result<void> remove(const std::string& name) const;

 private:
  Folder(UniqueFd fd, std::filesystem::path path) noexcept
      : fd_(std::move(fd)), path_(std::move(path)) {}
  Result<std::optional<Folder>> step(const std::string& name, bool make) const;
  Result<std::optional<Folder>> walk(std::string_view relative, bool make) const;

  UniqueFd fd_;
  std::filesystem::path path_;
};

}  // namespace ferrule::io
