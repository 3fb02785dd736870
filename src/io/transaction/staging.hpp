// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "ferrule/result.hpp"
#include "io/transaction/directory_tree.hpp"
#include "io/unique_fd.hpp"

namespace ferrule::io {

/// TX-7: a hidden folder next to the target in which one saver at a time prepares what will be
/// swapped in:
/// `.ferrule-HASH/new`, and `.ferrule-HASH/record` for the saver after a crash. Its lock is the
/// lock of the target, taken whether the target exists or not; it goes with the save.
class Staging {
 public:
  static constexpr const char* kNew = "new";

  /// Waits for another saver of the same name. nullopt if `parent` takes no new folders (EACCES,
  /// EPERM, EROFS). `parent` stays open as long as the result lives.
  static Result<std::optional<Staging>> acquire(int parent, const std::string& target_name,
                                                const std::filesystem::path& path);

  /// Removes what saves that made `directory` or a parent of it left next to it when they crashed:
  /// the stage of a new directory is next to the topmost one that was missing.
  static void sweep_above(const std::filesystem::path& directory);

  Staging(Staging&& other) noexcept;
  Staging& operator=(Staging&& other) noexcept;
  /// Removes it with all it holds. What fails is left to the next saver.
  ~Staging();

  int fd() const noexcept { return fd_.get(); }

  /// Writes the record: must be there before the swap.
  Result<void> write_record(const Carried& carried);

  /// Empties it of what an earlier save left. If that is the old directory of a swap, what
  /// appeared in it meanwhile is first brought into `current`, the directory that took its
  /// place (-1: there is none).
  Result<void> clear(int current);

  /// After the swap: brings what appeared meanwhile into `current`. Fails if that fails; a rest
  /// that cannot be removed is left to the next saver.
  Result<void> clear_after_swap(int current, const Carried& carried);

 private:
  Staging(int parent, std::string name, std::filesystem::path path) noexcept;
  enum class Attempt { kOwned, kGone, kForeign };
  Result<Attempt> lock();
  Result<std::optional<Carried>> read_record() const;
  Result<void> bring_what_appeared(int current, const std::optional<Carried>& record) const;
  Result<void> empty();

  int parent_ = -1;
  std::string name_;
  std::filesystem::path path_;
  UniqueFd fd_;
  bool owned_ = false;    // The lock is ours.
  bool cleared_ = false;  // What an earlier save left is dealt with: all in it is ours.
};

/// The names next to `target` under which a saver of it may have left a stage or a file.
std::vector<std::string> stages_of(const std::filesystem::path& target);

/// The name for something that belongs to `target_name`: ".ferrule-" and a hash of it and of who we
/// are; `attempt` counts up if a name is taken.
std::string hidden_name(int parent, const std::string& target_name, int attempt);

}  // namespace ferrule::io
