// SPDX-License-Identifier: Apache-2.0
#include "exchange/stage.hpp"

#include "base/try.hpp"
#include "io/kind_at.hpp"
#include "io/remove_tree.hpp"
#include "io/save_control.hpp"
#include "io/transaction/directory_transaction.hpp"
#include "io/transaction/file_transaction.hpp"

namespace ferrule::exchange {
namespace {

namespace fs = std::filesystem;

constexpr const char* kStaged = "out";

Result<void> write_folder(const fs::path& path, const Plan& plan, Durability durability) {
  FERRULE_TRY(auto save, io::DirectoryTransaction::begin(path, durability));
  for (const auto& planned : plan.files) {
    FERRULE_TRY(auto* file, save.create(planned.name));
    FERRULE_CHECK(planned.write(*file));
  }
  for (const auto& name : plan.stale) FERRULE_CHECK(save.remove(name));
  return save.commit();
}

Result<void> write_file(const fs::path& path, const Plan& plan, Durability durability) {
  FERRULE_TRY(auto save, io::FileTransaction::begin(path, durability));
  FERRULE_CHECK(plan.files.front().write(save.file()));
  return save.commit();
}

fs::path parent_of(const fs::path& output) {
  auto trimmed = output.has_filename() ? output : output.parent_path();
  auto parent = trimmed.parent_path();
  return parent.empty() ? fs::path(".") : parent;
}

std::string name_of(const fs::path& output) {
  return (output.has_filename() ? output : output.parent_path()).filename().string();
}

}  // namespace

Stage::~Stage() {
  if (!scratch_) return;
  scratch_.reset();
  (void)io::remove_tree(parent_->fd(), scratch_name_, parent_->path());
}

Result<fs::path> Stage::write(const Plan& plan) {
  FERRULE_TRY(parent_, io::Folder::make(parent_of(output_), &made_));
  scratch_name_ = io::scratch_name();
  FERRULE_TRY(scratch_, parent_->make_below(scratch_name_));
  const auto path = parent_->path() / scratch_name_ / kStaged;
  if (is_file_) {
    FERRULE_CHECK(write_file(path, plan, durability_));
  } else {
    FERRULE_CHECK(write_folder(path, plan, durability_));
  }
  return path;
}

Result<void> Stage::publish(const Plan& plan) {
  FERRULE_TRY(const auto kind, io::kind_at(output_));
  FERRULE_CHECK(io::unless_canceled(output_));
  if (kind == io::EntryKind::kNothing) {
    return scratch_->move_to(kStaged, *parent_, name_of(output_));
  }
  // In place of something: with its mode, its links, and what else is in a folder.
  return is_file_ ? write_file(output_, plan, durability_)
                  : write_folder(output_, plan, durability_);
}

}  // namespace ferrule::exchange
