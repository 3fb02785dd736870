// SPDX-License-Identifier: Apache-2.0
#include "io/walk.hpp"

#include <dirent.h>
#include <sys/file.h>

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <set>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "base/call_control.hpp"
#include "base/try.hpp"
#include "io/list_directory.hpp"
#include "io/our_name.hpp"
#include "io/syscalls.hpp"
#include "io/system_error.hpp"
#include "io/unique_fd.hpp"

namespace ferrule::io {
namespace {

using Identity = std::pair<std::uint64_t, std::uint64_t>;

enum class Kind : std::uint8_t { kFile, kDirectory, kLinkedDirectory, kOther };

Kind entry_kind(int dir, const DirectoryEntry& entry) {
  if (entry.type == DT_REG) return Kind::kFile;
  if (entry.type == DT_DIR) return Kind::kDirectory;
  if (entry.type != DT_LNK && entry.type != DT_UNKNOWN) return Kind::kOther;
  struct stat own {};
  if (sys().fstatat(dir, entry.name.c_str(), &own, AT_SYMLINK_NOFOLLOW) != 0) return Kind::kOther;
  if (S_ISDIR(own.st_mode)) return Kind::kDirectory;
  struct stat there {};
  if (sys().fstatat(dir, entry.name.c_str(), &there, 0) != 0) return Kind::kOther;
  if (S_ISDIR(there.st_mode)) return Kind::kLinkedDirectory;
  return S_ISREG(there.st_mode) ? Kind::kFile : Kind::kOther;
}

/// True if a saver holds the lock that belongs to a stage of that name: of the stage itself, or of
/// the directory that is saved in place (TX-6, TX-7).
bool is_locked(int dir, const std::string& name) {
  const bool in_place = name.ends_with("stage") || name.ends_with("pending");
  const UniqueFd fd(uninterrupted([&] {
    return sys().openat(dir, in_place ? "." : name.c_str(),
                        O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC, 0);
  }));
  return fd && sys().flock(fd.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

Identity identity_of(const struct stat& info) {
  return {static_cast<std::uint64_t>(info.st_dev), static_cast<std::uint64_t>(info.st_ino)};
}

/// All directories above `directory`.
std::set<Identity> directories_above(const std::filesystem::path& directory) {
  std::set<Identity> above;
  auto at = directory / "..";
  struct stat info {};
  while (sys().fstatat(AT_FDCWD, at.c_str(), &info, 0) == 0 &&
         above.insert(identity_of(info)).second) {
    at /= "..";
  }
  return above;
}

std::vector<std::filesystem::path> paths_of(const std::filesystem::path& directory,
                                            const std::vector<std::string>& names) {
  std::vector<std::filesystem::path> paths;
  paths.reserve(names.size());
  for (const auto& name : names) paths.push_back(directory / name);
  return paths;
}

/// One walk. Threads share the directories that wait to be listed, and what was found.
class Walk {
 public:
  using Visit = std::function<void(const std::filesystem::path&, const Listing&)>;

  Walk(const Visit& visit, Stages stages, std::set<Identity> above)
      : visit_(visit), stages_(stages), known_(std::move(above)) {}

  /// A directory that is listed; one that was visited before is left out.
  void add(const std::filesystem::path& directory, const Listing& listing) {
    {
      const std::lock_guard lock(mutex_);
      if (!known_.insert(listing.identity).second) return;
      ++result_.directories;
      open_ += listing.directories.size();
      for (auto& path : paths_of(directory, listing.directories)) waiting_.push_back(path);
      for (auto& path : paths_of(directory, listing.linked)) links_.push_back(path);
      changed_.notify_all();
    }
    if (control_ != nullptr) CallControlAccess::add_known(*control_, 1);
    visit_(directory, listing);
    if (control_ != nullptr) CallControlAccess::add_done(*control_);
  }

  /// Works until no directory waits; several threads may.
  void work() {
    const CallControl::Scope scope(control_);
    std::filesystem::path directory;
    while (pop(directory)) {
      if (auto listing = list_by_kind(directory, stages_)) {
        add(directory, *listing);
      } else {
        fail(std::move(listing).error());
      }
      done();
    }
  }

  /// Between two rounds of work: lists what is behind the links that were found. False if nothing
  /// is left to do.
  bool follow_links() {
    auto links = std::exchange(links_, {});
    std::sort(links.begin(), links.end());
    for (const auto& link : links) {
      auto listing = list_by_kind(link, stages_);
      if (listing) {
        add(link, *listing);
      } else {
        fail(std::move(listing).error());
      }
    }
    return !links_.empty() || !waiting_.empty();
  }

  WalkResult take() { return std::move(result_); }

 private:
  /// Waits for a directory; false if all are done.
  bool pop(std::filesystem::path& directory) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !waiting_.empty() || open_ == 0; });
    if (waiting_.empty()) return false;
    directory = std::move(waiting_.back());
    waiting_.pop_back();
    return true;
  }

  void done() {
    const std::lock_guard lock(mutex_);
    if (--open_ == 0) changed_.notify_all();
  }

  void fail(Error error) {
    const std::lock_guard lock(mutex_);
    result_.unreadable.push_back(std::move(error));
  }

  const Visit& visit_;
  const Stages stages_;
  CallControl* const control_ = base::call_control();
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<Identity> known_;  // Visited, or not to be entered through a link.
  std::vector<std::filesystem::path> waiting_;
  std::vector<std::filesystem::path> links_;
  std::size_t open_ = 0;  // Waiting or being listed.
  WalkResult result_;
};

void run_on_threads(Walk& walk, unsigned threads) {
  std::vector<std::thread> helpers;
  try {
    while (helpers.size() + 1 < threads) helpers.emplace_back([&] { walk.work(); });
  } catch (const std::system_error&) {
    // The system has no more threads to give: those that started do the work.
  }
  walk.work();
  for (auto& helper : helpers) helper.join();
}

}  // namespace

Result<Listing> list_by_kind(const std::filesystem::path& directory, Stages stages) {
  UniqueFd fd(uninterrupted([&] {
    return sys().openat(AT_FDCWD, directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  }));
  if (!fd) return open_error(errno, "cannot open the directory", directory);
  FERRULE_TRY(const auto entries, list_directory(fd.get(), directory));
  Listing listing;
  struct stat info {};
  if (sys().fstat(fd.get(), &info) == 0) listing.identity = identity_of(info);
  for (const auto& entry : entries) {
    if (is_our_name(entry.name) && (stages == Stages::kSkip || is_locked(fd.get(), entry.name))) {
      listing.ours.push_back(entry.name);
      continue;
    }
    switch (entry_kind(fd.get(), entry)) {
      case Kind::kFile:
        listing.files.push_back(entry.name);
        break;
      case Kind::kDirectory:
        listing.directories.push_back(entry.name);
        break;
      case Kind::kLinkedDirectory:
        listing.linked.push_back(entry.name);
        break;
      case Kind::kOther:
        break;
    }
  }
  return listing;
}

Result<WalkResult> walk_directories(
    const std::filesystem::path& root, unsigned threads,
    const std::function<void(const std::filesystem::path&, const Listing&)>& visit, Stages stages) {
  FERRULE_TRY(const auto top, list_by_kind(root, stages));
  Walk walk(visit, stages, directories_above(root));
  if (threads == 0) threads = std::max(1U, std::thread::hardware_concurrency());
  walk.add(root, top);
  do {
    run_on_threads(walk, threads);
  } while (walk.follow_links());
  auto result = walk.take();
  std::sort(result.unreadable.begin(), result.unreadable.end(),
            [](const Error& a, const Error& b) { return a.path < b.path; });
  return result;
}

}  // namespace ferrule::io
