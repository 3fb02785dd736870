// SPDX-License-Identifier: Apache-2.0
#include "ferrule/step_folders.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "io/folder.hpp"
#include "io/kind_at.hpp"
#include "io/remove_tree.hpp"
#include "io/syscalls.hpp"
#include "io/system_error.hpp"
#include "io/walk.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "checkpoint-";

std::string name_of(std::uint64_t step) { return std::string(kPrefix) + std::to_string(step); }

/// The step of a folder of that name, spelled as name_of() does; nullopt for any other.
std::optional<std::uint64_t> step_of(std::string_view name) {
  if (!name.starts_with(kPrefix)) return std::nullopt;
  std::uint64_t step = 0;
  const auto* end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + kPrefix.size(), end, step);
  if (error != std::errc() || stop != end || name != name_of(step)) return std::nullopt;
  return step;
}

}  // namespace

Result<std::vector<StepFolder>> step_folders(const fs::path& directory, const std::string& marker) {
  std::vector<StepFolder> found;
  FERRULE_TRY(const auto folder, io::Folder::open(directory));
  if (!folder) return found;
  FERRULE_TRY(const auto listing, io::list_by_kind(directory));
  for (const auto& name : listing.directories) {
    const auto step = step_of(name);
    if (!step) continue;
    FERRULE_TRY(const auto below, folder->open_below(name));
    if (!below) continue;
    if (!marker.empty()) {
      FERRULE_TRY(const auto kind, below->look(marker));
      if (kind != io::EntryKind::kFile) continue;
    }
    found.push_back({*step, directory / name});
  }
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.step < b.step; });
  return found;
}

struct StepFolderWriter::Rep {
  Rep(io::Folder made, std::uint64_t number)
      : folder(std::move(made)),
        name(name_of(number)),
        partial("." + name + ".partial"),
        path(folder.path() / partial) {}

  io::Folder folder;
  std::string name;
  std::string partial;
  fs::path path;
  bool is_done = false;
};

StepFolderWriter::StepFolderWriter(std::unique_ptr<Rep> rep) noexcept : rep_(std::move(rep)) {}
StepFolderWriter::StepFolderWriter(StepFolderWriter&&) noexcept = default;
StepFolderWriter& StepFolderWriter::operator=(StepFolderWriter&&) noexcept = default;

StepFolderWriter::~StepFolderWriter() {
  if (rep_ && !rep_->is_done) {
    (void)io::remove_tree(rep_->folder.fd(), rep_->partial, rep_->path);
  }
}

Result<StepFolderWriter> StepFolderWriter::begin(const fs::path& directory, std::uint64_t step) {
  FERRULE_TRY(auto folder, io::Folder::make(directory));
  auto rep = std::make_unique<Rep>(std::move(folder), step);
  FERRULE_TRY(const auto kind, rep->folder.look(rep->name));
  if (kind != io::EntryKind::kNothing) {
    rep->is_done = true;
    return base::at(base::invalid("PB-4", "there is a checkpoint of this step already"),
                    (directory / rep->name).string());
  }
  FERRULE_CHECK(io::remove_tree(rep->folder.fd(), rep->partial, rep->path));
  FERRULE_TRY(const auto made, rep->folder.make_below(rep->partial));
  return StepFolderWriter(std::move(rep));
}

const fs::path& StepFolderWriter::path() const& noexcept { return rep_->path; }

Result<fs::path> StepFolderWriter::commit(const std::string& marker, std::uint64_t keep,
                                          Durability durability) {
  const auto& folder = rep_->folder;
  FERRULE_CHECK(folder.move_to(rep_->partial, folder, rep_->name));
  rep_->is_done = true;
  const auto final_path = folder.path() / rep_->name;
  if (durability != Durability::kFast && io::sys().fsync(folder.fd()) != 0) {
    return io::system_error(errno, "cannot flush the folder", folder.path());
  }
  if (keep == 0) return final_path;
  FERRULE_TRY(const auto all, step_folders(folder.path(), marker));
  auto surplus = all.size() > keep ? all.size() - keep : 0;
  for (const auto& old : all) {
    if (surplus == 0) break;
    if (old.directory == final_path) continue;
    FERRULE_CHECK(io::remove_tree(folder.fd(), old.directory.filename().string(), old.directory));
    --surplus;
  }
  return final_path;
}

}  // namespace ferrule
