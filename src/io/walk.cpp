// SPDX-License-Identifier: Apache-2.0
#include "io/walk.hpp"

#include <dirent.h>

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "base/try.hpp"
#include "io/list_directory.hpp"
#include "io/syscalls.hpp"
#include "io/system_error.hpp"
#include "io/unique_fd.hpp"

namespace ferrule::io {
namespace {

enum class Kind : std::uint8_t { kFile, kDirectory, kOther };

Kind entry_kind(int dir, const DirectoryEntry& entry) {
  if (entry.type == DT_REG) return Kind::kFile;
  if (entry.type == DT_DIR) return Kind::kDirectory;
  if (entry.type != DT_LNK && entry.type != DT_UNKNOWN) return Kind::kOther;
  struct stat own {};
  if (sys().fstatat(dir, entry.name.c_str(), &own, AT_SYMLINK_NOFOLLOW) != 0) return Kind::kOther;
  if (S_ISDIR(own.st_mode)) return Kind::kDirectory;
  struct stat there {};
  if (sys().fstatat(dir, entry.name.c_str(), &there, 0) != 0) return Kind::kOther;
  return S_ISREG(there.st_mode) ? Kind::kFile : Kind::kOther;
}

/// Directories that wait to be listed, shared by the threads of one walk.
class Queue {
 public:
  void push(std::vector<std::filesystem::path> directories) {
    const std::lock_guard lock(mutex_);
    open_ += directories.size();
    for (auto& directory : directories) waiting_.push_back(std::move(directory));
    changed_.notify_all();
  }

  /// Waits for a directory; false where all are done.
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

  void count() {
    const std::lock_guard lock(mutex_);
    ++result_.directories;
  }

  WalkResult take() { return std::move(result_); }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::filesystem::path> waiting_;
  std::size_t open_ = 0;  // Waiting or being listed.
  WalkResult result_;
};

std::vector<std::filesystem::path> below(const std::filesystem::path& directory,
                                         const Listing& listing) {
  std::vector<std::filesystem::path> paths;
  paths.reserve(listing.directories.size());
  for (const auto& name : listing.directories) paths.push_back(directory / name);
  return paths;
}

}  // namespace

Result<Listing> list_by_kind(const std::filesystem::path& directory) {
  UniqueFd fd(uninterrupted([&] {
    return sys().openat(AT_FDCWD, directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  }));
  if (!fd) return open_error(errno, "cannot open the directory", directory);
  FERRULE_TRY(const auto entries, list_directory(fd.get(), directory));
  Listing listing;
  for (const auto& entry : entries) {
    const auto kind = entry_kind(fd.get(), entry);
    if (kind == Kind::kFile) listing.files.push_back(entry.name);
    if (kind == Kind::kDirectory) listing.directories.push_back(entry.name);
  }
  return listing;
}

Result<WalkResult> walk_directories(
    const std::filesystem::path& root, unsigned threads,
    const std::function<void(const std::filesystem::path&, const Listing&)>& visit) {
  FERRULE_TRY(const auto top, list_by_kind(root));
  Queue queue;
  queue.count();
  queue.push(below(root, top));
  const auto work = [&] {
    std::filesystem::path directory;
    while (queue.pop(directory)) {
      if (auto listing = list_by_kind(directory)) {
        queue.count();
        queue.push(below(directory, *listing));
        visit(directory, *listing);
      } else {
        queue.fail(std::move(listing).error());
      }
      queue.done();
    }
  };
  if (threads == 0) threads = std::max(1U, std::thread::hardware_concurrency());
  std::vector<std::thread> helpers;
  try {
    while (helpers.size() + 1 < threads) helpers.emplace_back(work);
  } catch (const std::system_error&) {
    // The system has no more threads to give: those at hand do the work.
  }
  visit(root, top);
  work();
  for (auto& helper : helpers) helper.join();
  auto result = queue.take();
  std::sort(result.unreadable.begin(), result.unreadable.end(),
            [](const Error& a, const Error& b) { return a.path < b.path; });
  return result;
}

}  // namespace ferrule::io
