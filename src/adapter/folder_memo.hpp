// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <future>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "adapter/known_headers.hpp"
#include "adapter/summary_template.hpp"
#include "ferrule/inspect.hpp"
#include "ferrule/read_limits.hpp"
#include "io/file_identity.hpp"
#include "io/walk.hpp"

namespace ferrule::adapter {

/// An adapter that was read, and the content that was read. The texts are in the memo.
struct RememberedAdapter {
  std::string_view path;  ///< Below the folder.
  /// Replaces the base model of the summary.
  std::optional<std::string_view> base_model;
  io::FileIdentity directory;
  io::FileIdentity config;
  io::FileIdentity weights;
  const SummaryTemplate* summary = nullptr;
};

/// What is in the file of FolderOptions::memo. The texts of the adapters are in what was decoded.
struct MemoContent {
  std::deque<SummaryTemplate> summaries;
  std::vector<RememberedAdapter> adapters;  ///< Sorted by path.
};

/// `stamp` is what the summaries depend on besides the files.
std::string encode_memo(std::span<const RememberedAdapter> adapters, std::string_view stamp);
/// nullopt if it is damaged or has another stamp.
std::optional<MemoContent> decode_memo(std::string_view text, std::string_view stamp);

/// The adapters of a folder as they were when it was listed last. An adapter is the same as long as
/// its directory and both of its files have the same identity (device, inode, size, time of change
/// and of modification). Safe for several threads. If its file cannot be read or is damaged,
/// everything is read again.
class FolderMemo {
 public:
  /// Without a file it remembers nothing. The file is read while the caller works, unless only one
  /// thread may.
  FolderMemo(std::filesystem::path file, const std::filesystem::path& folder,
             const ReadLimits& limits, unsigned threads);
  FolderMemo(const FolderMemo&) = delete;
  FolderMemo& operator=(const FolderMemo&) = delete;

  bool is_on() const noexcept { return !file_.empty(); }

  /// Sets the identities of the directories with adapters that are unchanged.
  void find(const io::Unlisted& directories, std::span<std::optional<io::FileIdentity>> known);

  /// An adapter that was read while the directory was being visited. It is not remembered if it
  /// changed so shortly before that another change could leave its times as they are.
  void note(const std::filesystem::path& path, const io::Listing& listing, const ReadSummary& read);

  /// The adapters that were found unchanged, sorted by path.
  std::vector<const RememberedAdapter*> unchanged() const;

  /// Writes what was found and noted, unless that is nearly what the file holds: it is large, and
  /// reading a few adapters takes less time. Fails if it cannot be written.
  Result<void> save();

 private:
  void load();
  /// Its place in before_.adapters, if the memo has it.
  std::optional<std::size_t> place_of(std::string_view below) const;
  void index();
  std::string_view below(std::string_view path) const;

  const std::filesystem::path file_;
  const std::string prefix_;
  const std::string stamp_;
  const std::chrono::system_clock::time_point started_ = std::chrono::system_clock::now();
  std::string text_;
  MemoContent before_;
  std::vector<std::uint32_t> table_;         // Of place + 1 by hash; 0: none.
  std::vector<unsigned char> is_unchanged_;  // By place; each is set by one thread.
  std::mutex mutex_;
  std::deque<std::string> texts_;  // Of noted_.
  std::vector<RememberedAdapter> noted_;
  std::shared_future<void> loaded_;  // The last member: it uses the others.
};

}  // namespace ferrule::adapter
