// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "io/save_control.hpp"
#include "io/staged_file.hpp"
#include "io/transaction/directory_transaction.hpp"
#include "io/transaction/directory_tree.hpp"
#include "io/transaction/in_place.hpp"
#include "io/transaction/staging.hpp"
#include "io/transaction/target.hpp"
#include "io/unique_fd.hpp"

namespace ferrule::io {

struct DirectoryTransaction::Rep {
  // In this order: what is declared later goes first.
  SaveMark mark;
  Target target;
  Durability durability = Durability::kSafe;
  UniqueFd parent_lock;  // Shared: who replaces the parent waits for us.
  std::optional<Staging> beside;
  std::optional<InPlace> inside;
  UniqueFd stage;          // The directory that is prepared.
  std::string stage_path;  // "new", or a folder below it if parents are missing.
  bool published = false;

  struct File {
    std::string name;
    std::unique_ptr<StagedFile> file;  // None if it came complete.
    std::string staged_as;
  };
  std::vector<File> files;
  std::set<std::string> removed;
  std::set<std::string> folders;  // Made in the stage.

  const std::filesystem::path& path() const { return target.path; }

  Result<void> lock_parent();
  Result<bool> lock_target();
  Result<void> prepare();
  Result<void> prepare_beside();
  Result<struct stat> look_at(std::string_view name) const;
  Result<void> make_stage_folders(const std::string& name);
  Result<std::string> claim(std::string_view name);
  int stage_folder() const { return inside ? inside->stage() : stage.get(); }
  Result<UniqueFd> open_staged(const std::string& staged_as, const struct stat& old);

  Result<void> finish_files();
  Result<void> flush_stage() const;
  Result<bool> swap_in();
  bool swap_back(Carried& carried);
  Result<bool> move_in();
  Result<void> meet_new_directory();
  Result<void> change_in_place();
  Result<void> flush_parent() const;
};

}  // namespace ferrule::io
