// SPDX-License-Identifier: Apache-2.0
#include "io/walk.hpp"

#include <dirent.h>
#include <sys/file.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <iterator>
#include <memory>
#include <mutex>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "base/call_control.hpp"
#include "base/try.hpp"
#include "io/directory_set.hpp"
#include "io/list_directory.hpp"
#include "io/our_name.hpp"
#include "io/syscalls.hpp"
#include "io/system_error.hpp"
#include "io/unique_fd.hpp"

namespace ferrule::io {
namespace {

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

/// All directories above `directory`.
DirectorySet directories_above(const std::filesystem::path& directory) {
  DirectorySet above;
  auto at = directory / "..";
  struct stat info {};
  while (sys().fstatat(AT_FDCWD, at.c_str(), &info, 0) == 0 && above.insert(identity_of(info))) {
    at /= "..";
  }
  return above;
}

/// A directory that stays open while directories in it wait, so that their paths need not be looked
/// up from the root again.
class Held {
 public:
  Held(UniqueFd fd, std::atomic<int>& count) noexcept : fd_(std::move(fd)), count_(count) {
    ++count_;
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() { --count_; }
  int fd() const noexcept { return fd_.get(); }

 private:
  UniqueFd fd_;
  std::atomic<int>& count_;
};

/// A deep tree must not use up the descriptors of the process.
constexpr int kMaxHeld = 64;

/// Directories in one parent that wait to be listed.
struct Waiting {
  std::shared_ptr<const Held> parent;  ///< Null if too many are open.
  std::string prefix;                  ///< The parent's path and a slash.
  std::vector<std::string> names;
};

std::string prefix_of(const std::filesystem::path& directory) {
  auto prefix = directory.native();
  if (!prefix.empty() && prefix.back() != '/') prefix += '/';
  return prefix;
}

Result<UniqueFd> open_listed(int at, const char* name, const std::filesystem::path& path) {
  UniqueFd fd(
      uninterrupted([&] { return sys().openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0); }));
  if (!fd) return open_error(errno, "cannot open the directory", path);
  return fd;
}

/// By inode, which is mostly the order in which they were made: what the system keeps of them is
/// then in order, too, and a walk of many takes a quarter less time.
std::vector<std::size_t> order_of(const std::vector<DirectoryEntry>& entries) {
  std::vector<std::pair<std::uint64_t, std::size_t>> by_inode;
  by_inode.reserve(entries.size());
  for (std::size_t i = 0; i < entries.size(); ++i) by_inode.emplace_back(entries[i].inode, i);
  std::sort(by_inode.begin(), by_inode.end());
  std::vector<std::size_t> order;
  order.reserve(entries.size());
  for (const auto& [inode, i] : by_inode) order.push_back(i);
  return order;
}

Result<Listing> list_opened(int fd, const std::filesystem::path& directory, Stages stages) {
  Listing listing;
  struct stat info {};
  if (sys().fstat(fd, &info) == 0) listing.identity = identity_of(info);
  FERRULE_TRY(auto entries, list_directory(fd, directory));
  for (const auto i : order_of(entries)) {
    auto& entry = entries[i];
    if (is_our_name(entry.name) && (stages == Stages::kSkip || is_locked(fd, entry.name))) {
      listing.ours.push_back(std::move(entry.name));
      continue;
    }
    switch (entry_kind(fd, entry)) {
      case Kind::kFile:
        listing.files.push_back(std::move(entry.name));
        break;
      case Kind::kDirectory:
        listing.directories.push_back(std::move(entry.name));
        break;
      case Kind::kLinkedDirectory:
        listing.linked.push_back(std::move(entry.name));
        break;
      case Kind::kOther:
        break;
    }
  }
  return listing;
}

/// One walk. Threads share the directories that wait to be listed, and what was found.
class Walk {
 public:
  Walk(const Visit& visit, const WalkOptions& options, DirectorySet above)
      : visit_(visit),
        options_(options),
        threads_(options.threads != 0 ? options.threads
                                      : std::max(1U, std::thread::hardware_concurrency())),
        known_(std::move(above)) {}

  unsigned threads() const noexcept { return threads_; }

  /// Lists the directory `name` in `at` and visits it, unless it was visited before.
  Result<void> list(int at, const char* name, const std::filesystem::path& path) {
    FERRULE_TRY(auto fd, open_listed(at, name, path));
    FERRULE_TRY(auto listing, list_opened(fd.get(), path, options_.stages));
    listing.fd = fd.get();
    std::shared_ptr<const Held> held;
    if (!listing.directories.empty()) held = std::make_shared<const Held>(std::move(fd), held_);
    if (!add(held, path, listing)) return {};
    const Step step(control_);
    visit_(path, listing);
    return {};
  }

  /// Works until no directory waits; several threads may.
  void work() {
    const CallControl::Scope scope(control_);
    Waiting batch;
    std::vector<std::optional<FileIdentity>> known;
    while (pop(batch, known.size())) {
      known.assign(batch.names.size(), std::nullopt);
      if (options_.known) skip_known(batch, known);
      for (std::size_t i = 0; i < known.size(); ++i) {
        if (!known[i]) list_waiting(batch, batch.names[i]);
      }
    }
  }

  /// Between two rounds of work: lists what is behind the links that were found. False if nothing
  /// is left to do.
  bool follow_links() {
    auto links = std::exchange(links_, {});
    std::sort(links.begin(), links.end());
    for (const auto& link : links) {
      auto listed = list(AT_FDCWD, link.c_str(), link);
      if (!listed) fail(std::move(listed).error());
    }
    return !links_.empty() || !waiting_.empty();
  }

  WalkResult take() { return std::move(result_); }

 private:
  /// A directory that is being visited, for who watches.
  class Step {
   public:
    explicit Step(CallControl* control) : control_(control) {
      if (control_ != nullptr) CallControlAccess::add_known(*control_, 1);
    }
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;
    ~Step() {
      if (control_ != nullptr) CallControlAccess::add_done(*control_);
    }

   private:
    CallControl* const control_;
  };

  void skip_known(const Waiting& batch, std::span<std::optional<FileIdentity>> known) {
    const bool held = batch.parent != nullptr;
    options_.known({.at = held ? batch.parent->fd() : AT_FDCWD,
                    .way = held ? std::string_view() : batch.prefix,
                    .prefix = batch.prefix,
                    .names = batch.names},
                   known);
    const std::lock_guard lock(mutex_);
    for (const auto& identity : known) {
      // What was skipped is not visited through a link either.
      if (identity && known_.insert(*identity)) ++result_.directories;
    }
  }

  void list_waiting(const Waiting& batch, const std::string& name) {
    const std::filesystem::path path = batch.prefix + name;
    const int at = batch.parent != nullptr ? batch.parent->fd() : AT_FDCWD;
    const char* const there = batch.parent != nullptr ? name.c_str() : path.c_str();
    auto listed = list(at, there, path);
    if (!listed) fail(std::move(listed).error());
  }

  /// False if the directory was visited before.
  bool add(const std::shared_ptr<const Held>& held, const std::filesystem::path& directory,
           Listing& listing) {
    const std::lock_guard lock(mutex_);
    if (!known_.insert(listing.identity)) return false;
    ++result_.directories;
    for (const auto& name : listing.linked) links_.push_back(directory / name);
    if (listing.directories.empty()) return true;
    open_ += listing.directories.size();
    waiting_.push_back(
        {held_ <= kMaxHeld ? held : nullptr, prefix_of(directory), listing.directories});
    changed_.notify_all();
    return true;
  }

  /// Waits for directories, and takes a fair share of them; false if all are done. The caller is
  /// through with as many of the last share.
  bool pop(Waiting& batch, std::size_t finished) {
    std::unique_lock lock(mutex_);
    open_ -= finished;
    if (finished != 0 && open_ == 0) changed_.notify_all();
    batch.parent.reset();
    changed_.wait(lock, [&] { return !waiting_.empty() || open_ == 0; });
    if (waiting_.empty()) return false;
    auto& last = waiting_.back();
    // Looking whether directories are as they were takes less time than listing them.
    const std::size_t most = options_.known ? 64 : 16;
    const std::size_t share =
        std::clamp<std::size_t>(last.names.size() / (std::size_t{2} * threads_), 1, most);
    const auto from = last.names.end() - static_cast<std::ptrdiff_t>(share);
    batch.parent = last.parent;
    batch.prefix = last.prefix;
    batch.names.assign(std::make_move_iterator(from), std::make_move_iterator(last.names.end()));
    last.names.erase(from, last.names.end());
    if (last.names.empty()) waiting_.pop_back();
    return true;
  }

  void fail(Error error) {
    const std::lock_guard lock(mutex_);
    result_.unreadable.push_back(std::move(error));
  }

  const Visit& visit_;
  const WalkOptions& options_;
  const unsigned threads_;
  CallControl* const control_ = base::call_control();
  std::atomic<int> held_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  DirectorySet known_;  // Visited, or not to be entered through a link.
  std::vector<Waiting> waiting_;
  std::vector<std::filesystem::path> links_;
  std::size_t open_ = 0;  // Waiting or being listed.
  WalkResult result_;
};

void run_on_threads(Walk& walk) {
  std::vector<std::thread> helpers;
  try {
    while (helpers.size() + 1 < walk.threads()) helpers.emplace_back([&] { walk.work(); });
  } catch (const std::system_error&) {
    // The system has no more threads to give: those that started do the work.
  }
  walk.work();
  for (auto& helper : helpers) helper.join();
}

}  // namespace

Result<Listing> list_by_kind(const std::filesystem::path& directory, Stages stages) {
  FERRULE_TRY(const auto fd, open_listed(AT_FDCWD, directory.c_str(), directory));
  return list_opened(fd.get(), directory, stages);
}

Result<WalkResult> walk_directories(const std::filesystem::path& root, const Visit& visit,
                                    const WalkOptions& options) {
  Walk walk(visit, options, directories_above(root));
  FERRULE_CHECK(walk.list(AT_FDCWD, root.c_str(), root));
  do {
    run_on_threads(walk);
  } while (walk.follow_links());
  auto result = walk.take();
  std::sort(result.unreadable.begin(), result.unreadable.end(),
            [](const Error& a, const Error& b) { return a.path < b.path; });
  return result;
}

}  // namespace ferrule::io
