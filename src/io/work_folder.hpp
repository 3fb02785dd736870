// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "ferrule/durability.hpp"
#include "ferrule/result.hpp"
#include "io/folder.hpp"
#include "io/staged_file.hpp"

namespace ferrule::io {

/// A hidden folder next to a directory that is being made, `.NAME.ferrule-work`: large files are
/// completed in it one by one, so that a process that is killed can be carried on by another. A
/// journal lists what is complete, with a sum of its content, and what work it belongs to.
///
/// The caller holds the lock of the directory (io::DirectoryTransaction) as long as this lives.
class WorkFolder {
 public:
  /// `purpose` says what work this is: what another work left is removed. Without `resume`, so is
  /// what the same work left.
  static Result<WorkFolder> open(const std::filesystem::path& directory, std::string_view purpose,
                                 bool resume, Durability durability);

  WorkFolder(WorkFolder&&) noexcept = default;
  WorkFolder& operator=(WorkFolder&&) = delete;

  int fd() const noexcept { return folder_.fd(); }
  const std::filesystem::path& path() const noexcept { return folder_.path(); }

  struct Done {
    std::uint64_t bytes = 0;
    std::string sum;
  };
  /// What the journal says of that file, or nullopt.
  std::optional<Done> done(const std::string& name) const;
  /// The file, to look at its content.
  Result<std::optional<OpenedFile>> look_at(const std::string& name) const;

  /// A new file under that plain name.
  Result<std::unique_ptr<StagedFile>> create(const std::string& name);
  /// Flushes the file and notes that it is complete.
  Result<void> finish(const std::string& name, StagedFile& file, const std::string& sum);

  /// Removes it with all that is left in it.
  Result<void> remove();

 private:
  WorkFolder(Folder folder, Folder parent, std::string name, Durability durability)
      : folder_(std::move(folder)),
        parent_(std::move(parent)),
        name_(std::move(name)),
        durability_(durability) {}
  Result<bool> read_journal(std::string_view purpose);

  Folder folder_;
  Folder parent_;
  std::string name_;
  Durability durability_;
  std::map<std::string, Done> done_;
};

/// The file system that a path is on.
struct Room {
  std::uint64_t free_bytes = 0;  ///< That this process may still write.
  std::uint64_t device = 0;
};

/// Of `path`, or the nearest folder above it that exists; nullopt if the system does not tell.
std::optional<Room> room_at(const std::filesystem::path& path) noexcept;

}  // namespace ferrule::io
