// SPDX-License-Identifier: Apache-2.0
#include "io/transaction/in_place.hpp"

#include <sys/file.h>

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "io/exclusive_lock.hpp"
#include "io/folder_flags.hpp"
#include "io/open_regular.hpp"
#include "io/remove_tree.hpp"
#include "io/staged_file.hpp"
#include "io/syscalls.hpp"
#include "io/system_error.hpp"
#include "io/transaction/directory_tree.hpp"
#include "io/transaction/target.hpp"

namespace ferrule::io {

namespace {

constexpr const char* kStage = ".ferrule-stage";
constexpr const char* kPending = ".ferrule-pending";
// In the pending folder: the record, whose name gives the direction.
constexpr const char* kRedo = "redo";
constexpr const char* kUndo = "undo";
constexpr std::string_view kFormat = "ferrule changes 1";
constexpr std::uint64_t kMaxRecord = std::uint64_t{1} << 24;

struct Step {
  Change change;
  bool existed = false;    // There was a file of that name.
  bool backed_up = false;  // It has a second name in the stage.
};

std::string backup_name(std::size_t index) { return "old" + std::to_string(index); }

std::string encode(std::span<const Step> steps) {
  std::string text(kFormat);
  text += '\0';
  for (const auto& step : steps) {
    text += step.change.removal ? 'r' : 'c';
    text += step.existed ? 'o' : 'n';
    text += step.backed_up ? 'b' : '-';
    text += step.change.name + '\0';
  }
  return text + "end" + '\0';
}

std::optional<std::vector<Step>> decode(std::string_view text) {
  std::vector<Step> steps;
  for (bool first = true;; first = false) {
    const std::size_t end = text.find('\0');
    if (end == text.npos) return std::nullopt;
    const std::string_view field = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (first) {
      if (field != kFormat) return std::nullopt;
      continue;
    }
    if (field == "end") return text.empty() ? std::optional(std::move(steps)) : std::nullopt;
    // It may have come with a download: nothing outside this directory is touched.
    if (field.size() < 4 || !is_plain_path(field.substr(3))) return std::nullopt;
    steps.push_back(
        {{std::string(field.substr(3)), field[0] == 'r'}, field[1] == 'o', field[2] == 'b'});
  }
}

Result<void> flush(int fd, Durability durability, const std::filesystem::path& path) {
  if (durability == Durability::kFast || uninterrupted([&] { return sys().fsync(fd); }) == 0) {
    return {};
  }
  return system_error(errno, "cannot flush the directory to the disk", path);
}

Result<void> flush_at(int dir, const char* name, Durability durability,
                      const std::filesystem::path& path) {
  if (durability == Durability::kFast) return {};
  const UniqueFd fd(uninterrupted([&] { return sys().openat(dir, name, kFolderFlags, 0); }));
  if (!fd) return system_error(errno, "cannot open the directory", path);
  return flush(fd.get(), durability, path);
}

Result<void> do_step(int directory, int stage, std::size_t index, const Step& step,
                     const std::filesystem::path& path) {
  const std::string& name = step.change.name;
  if (!step.change.removal) FERRULE_CHECK(make_folders(directory, name, path));
  auto place = open_parent(directory, name, path);
  if (!place) {
    if (step.change.removal && place.error().code == ErrorCode::kNotFound) return {};
    return std::move(place).error();
  }
  const int result = step.change.removal
                         ? sys().unlinkat(place->folder.get(), place->name.c_str(), 0)
                         : sys().renameat2(stage, InPlace::staged_name(index).c_str(),
                                           place->folder.get(), place->name.c_str(), 0);
  // ENOENT: done already, by whom this record outlived.
  if (result == 0 || errno == ENOENT) return {};
  return system_error(errno, "cannot publish " + quote(name), path);
}

Result<void> undo_step(int directory, int stage, std::size_t index, const Step& step,
                       const std::filesystem::path& path) {
  auto place = open_parent(directory, step.change.name, path);
  if (!place) {
    if (place.error().code == ErrorCode::kNotFound) return {};
    return std::move(place).error();
  }
  const char* name = place->name.c_str();
  int result = 0;
  if (step.backed_up) {
    result = sys().renameat2(stage, backup_name(index).c_str(), place->folder.get(), name, 0);
  } else if (!step.existed && !step.change.removal) {
    struct stat info {};
    const bool staged =
        sys().fstatat(stage, InPlace::staged_name(index).c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0;
    if (!staged) result = sys().unlinkat(place->folder.get(), name, 0);
    // Folders made for it are removed if they are empty.
    std::string folder = step.change.name;
    for (std::size_t slash = folder.rfind('/'); slash != folder.npos; slash = folder.rfind('/')) {
      folder.resize(slash);
      if (sys().unlinkat(directory, folder.c_str(), AT_REMOVEDIR) != 0) break;
    }
  }
  if (result == 0 || errno == ENOENT) return {};
  return system_error(errno, "cannot take back " + quote(step.change.name), path);
}

/// What is to be done, and which of it can be taken back. Gives old files a second name.
Result<std::vector<Step>> plan(int directory, int stage, std::span<const Change> changes,
                               const std::filesystem::path& path) {
  std::vector<Step> steps;
  for (const auto& change : changes) {
    Step step{change};
    auto place = open_parent(directory, change.name, path);
    if (place) {
      struct stat info {};
      step.existed =
          sys().fstatat(place->folder.get(), place->name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0;
      if (!step.existed && errno != ENOENT) {
        return system_error(errno, "cannot examine " + quote(change.name), path);
      }
      step.backed_up = step.existed && sys().linkat(place->folder.get(), place->name.c_str(), stage,
                                                    backup_name(steps.size()).c_str(), 0) == 0;
    } else if (place.error().code != ErrorCode::kNotFound) {
      return std::move(place).error();
    }
    steps.push_back(std::move(step));
  }
  return steps;
}

Result<void> write_record(int stage, std::span<const Step> steps, Durability durability,
                          const std::filesystem::path& path) {
  UniqueFd fd(uninterrupted(
      [&] { return sys().openat(stage, kRedo, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600); }));
  if (!fd) return system_error(errno, "cannot write a record of the save", path);
  StagedFile file(std::move(fd), path, durability);
  const std::string text = encode(steps);
  FERRULE_CHECK(file.write(std::as_bytes(std::span(text))));
  return file.finish();
}

/// The steps in `folder`/`name`; nullopt if there is no such record, or not a whole one.
Result<std::optional<std::vector<Step>>> read_record(int folder, const char* name,
                                                     const std::filesystem::path& path) {
  auto opened = open_regular(folder, name, path);
  if (!opened) {
    if (opened.error().code == ErrorCode::kNotFound) return std::optional<std::vector<Step>>();
    return std::move(opened).error();
  }
  if (opened->size > kMaxRecord) return std::optional<std::vector<Step>>();
  FERRULE_TRY(const std::string text, read_opened(*opened, kMaxRecord, path));
  return decode(text);
}

/// The work is done: the record must not be followed again, and goes at once; the rest after it.
Result<void> drop_pending(int directory, const std::filesystem::path& path) {
  if (sys().renameat2(directory, kPending, directory, kStage, 0) != 0) {
    return system_error(errno, "cannot remove the record of the save", path);
  }
  return remove_tree(directory, kStage, path);
}

Result<void> follow(int directory, int pending, std::span<const Step> steps, bool forward,
                    const std::filesystem::path& path) {
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const std::size_t index = forward ? i : steps.size() - 1 - i;
    FERRULE_CHECK(forward ? do_step(directory, pending, index, steps[index], path)
                          : undo_step(directory, pending, index, steps[index], path));
  }
  return {};
}

/// Turns back after a failure; true if the directory is as it was.
bool take_back(int directory, int pending, std::span<const Step> steps,
               const std::filesystem::path& path) {
  for (const auto& step : steps) {
    if (step.existed && !step.backed_up) return false;
  }
  if (sys().renameat2(pending, kRedo, pending, kUndo, 0) != 0) return false;
  return follow(directory, pending, steps, false, path) && drop_pending(directory, path);
}

Error unfinished(Error error) {
  error.message +=
      "; some files are replaced already and some are not: the next Ferrule command that opens the "
      "directory will finish the save";
  error.rule = "TX-6";
  return error;
}

/// Flushes the folders of the steps, each once.
Result<void> flush_folders(int directory, std::span<const Step> steps, Durability durability,
                           const std::filesystem::path& path) {
  FERRULE_CHECK(flush_at(directory, ".", durability, path));
  std::set<std::string> folders;
  for (const auto& step : steps) {
    const std::size_t slash = step.change.name.rfind('/');
    if (slash == std::string::npos || step.change.removal) continue;
    if (folders.insert(step.change.name.substr(0, slash)).second) {
      FERRULE_CHECK(
          flush_at(directory, step.change.name.substr(0, slash).c_str(), durability, path));
    }
  }
  return {};
}

}  // namespace

Result<InPlace> InPlace::begin(int directory, const std::filesystem::path& path) {
  if (sys().mkdirat(directory, kStage, 0700) != 0) {
    return system_error(errno, "cannot create a folder in it", path);
  }
  UniqueFd stage(uninterrupted([&] { return sys().openat(directory, kStage, kFolderFlags, 0); }));
  if (!stage) {
    const int number = errno;
    sys().unlinkat(directory, kStage, AT_REMOVEDIR);
    return system_error(number, "cannot open a folder in it", path);
  }
  return InPlace(directory, std::move(stage), path);
}

InPlace::InPlace(InPlace&& other) noexcept
    : directory_(other.directory_),
      stage_(std::move(other.stage_)),
      path_(std::move(other.path_)),
      pending_(other.pending_) {}

InPlace::~InPlace() {
  if (!stage_ || pending_) return;
  // What cannot be removed is hidden, and the next save tries again.
  (void)remove_tree(directory_, kStage, path_).has_value();
}

std::string InPlace::staged_name(std::size_t index) { return "new" + std::to_string(index); }

Result<void> InPlace::publish(std::span<const Change> changes, Durability durability) {
  FERRULE_TRY(const auto steps, plan(directory_, stage_.get(), changes, path_));
  FERRULE_CHECK(write_record(stage_.get(), steps, durability, path_));
  FERRULE_CHECK(flush(stage_.get(), durability, path_));
  if (sys().renameat2(directory_, kStage, directory_, kPending, 0) != 0) {
    return system_error(errno, "cannot commit the save", path_);
  }
  pending_ = true;
  auto done = flush_at(directory_, ".", durability, path_);
  if (done) done = follow(directory_, stage_.get(), steps, true, path_);
  if (!done) {
    if (take_back(directory_, stage_.get(), steps, path_)) return done;
    return unfinished(std::move(done).error());
  }
  // Before the record goes, what it would repeat must be on the disk.
  if (auto flushed = flush_folders(directory_, steps, durability, path_); !flushed) {
    Error error = std::move(flushed).error();
    error.message = "it is saved, but " + error.message;
    return error;
  }
  // It is published; the next save cleans up what this one cannot.
  (void)drop_pending(directory_, path_).has_value();
  return {};
}

Result<bool> has_pending(int directory, const std::filesystem::path& path) {
  struct stat info {};
  if (sys().fstatat(directory, kPending, &info, AT_SYMLINK_NOFOLLOW) == 0) {
    return S_ISDIR(info.st_mode);
  }
  if (errno == ENOENT) return false;
  return system_error(errno, "cannot look for an interrupted save", path);
}

Result<void> recover_in_place(int directory, const std::filesystem::path& path) {
  FERRULE_TRY(const bool pending, has_pending(directory, path));
  if (!pending) return remove_tree(directory, kStage, path);
  const UniqueFd folder(
      uninterrupted([&] { return sys().openat(directory, kPending, kFolderFlags, 0); }));
  if (!folder) return system_error(errno, "cannot finish an interrupted save", path);
  for (const bool forward : {false, true}) {
    FERRULE_TRY(const auto steps, read_record(folder.get(), forward ? kRedo : kUndo, path));
    if (!steps) continue;
    FERRULE_CHECK(follow(directory, folder.get(), *steps, forward, path));
    FERRULE_CHECK(flush_folders(directory, *steps, Durability::kSafe, path));
    break;
  }
  FERRULE_CHECK(remove_tree(directory, kStage, path));
  return drop_pending(directory, path);
}

Result<void> settle_pending(int directory, const std::filesystem::path& path) {
  FERRULE_TRY(const bool pending, has_pending(directory, path));
  if (!pending) return {};
  if (lock_exclusively(directory) != 0) {
    return system_error(errno, "cannot lock the directory to finish an interrupted save", path);
  }
  auto recovered = recover_in_place(directory, path);
  sys().flock(directory, LOCK_UN);
  if (!recovered) {
    Error error = std::move(recovered).error();
    error.rule = "TX-6";
    error.message =
        "an interrupted save must be finished before the directory can be read, which failed: " +
        error.message;
    return error;
  }
  return {};
}

}  // namespace ferrule::io
