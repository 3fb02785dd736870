// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include "ferrule/durability.hpp"
#include "ferrule/result.hpp"
#include "io/unique_fd.hpp"

namespace ferrule::io {

/// One file that a save creates or removes.
struct Change {
  std::string name;
  bool removal = false;
};

/// The way for directories that cannot be swapped (TX-6): the files are staged in a hidden folder
/// of the directory itself, a record of what is to happen is committed by renaming that folder, and
/// then they are renamed one by one. Who finds the record finishes the work.
///
/// All of it is done under the lock of the directory.
class InPlace {
 public:
  /// Makes the stage, empty.
  static Result<InPlace> begin(int directory, const std::filesystem::path& path);
  InPlace(InPlace&& other) noexcept;
  InPlace& operator=(InPlace&&) = delete;
  /// Removes what was not published.
  ~InPlace();

  int stage() const noexcept { return stage_.get(); }
  /// What the file of the change number `index` is called in the stage.
  static std::string staged_name(std::size_t index);

  /// All files are staged and flushed. On failure everything is as it was, or the message says that
  /// the next opening will finish it.
  Result<void> publish(std::span<const Change> changes, Durability durability);

 private:
  InPlace(int directory, UniqueFd stage, const std::filesystem::path& path)
      : directory_(directory), stage_(std::move(stage)), path_(path) {}

  int directory_;
  UniqueFd stage_;
  std::filesystem::path path_;
  bool pending_ = false;
};

/// True if a save was interrupted (or is at work) between its first rename and its last.
Result<bool> has_pending(int directory, const std::filesystem::path& path);

/// Finishes an interrupted save, or takes back one that failed, and removes what is left of it.
Result<void> recover_in_place(int directory, const std::filesystem::path& path);

/// Waits for the saver at work and recovers; for readers, who hold no lock.
Result<void> settle_pending(int directory, const std::filesystem::path& path);

}  // namespace ferrule::io
