// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "adapter/known_headers.hpp"
#include "adapter/summary_template.hpp"
#include "ferrule/inspect.hpp"
#include "ferrule/read_limits.hpp"
#include "io/file_identity.hpp"

namespace ferrule::adapter {

/// An adapter that was read, and the content that was read.
struct RememberedAdapter {
  io::FileIdentity directory;
  io::FileIdentity config;
  io::FileIdentity weights;
  std::shared_ptr<const SummaryTemplate> summary;
};

/// What is in the file of FolderOptions::memo: adapters and their paths below the folder.
using RememberedAdapters = std::vector<std::pair<std::string, RememberedAdapter>>;

/// `stamp` is what the summaries depend on besides the files.
std::string encode_memo(const RememberedAdapters& adapters, std::string_view stamp);
/// nullopt if it is damaged or has another stamp.
std::optional<RememberedAdapters> decode_memo(std::string_view text, std::string_view stamp);

/// The adapters of a folder as they were when it was listed last. An adapter is the same as long as
/// its directory and both of its files have the same identity (device, inode, size, time of change
/// and of modification). Safe for several threads. If its file cannot be read or is damaged,
/// everything is read again.
class FolderMemo {
 public:
  /// Without a file it remembers nothing.
  FolderMemo(std::filesystem::path file, const std::filesystem::path& folder,
             const ReadLimits& limits);

  bool is_on() const noexcept { return !file_.empty(); }

  struct Found {
    AdapterSummary summary;
    io::FileIdentity directory;
  };
  /// The adapter in the directory `name` of the open directory `at`, if it is unchanged.
  std::optional<Found> find(int at, const char* name, const std::filesystem::path& path);

  /// An adapter that was read while the directory was being visited. It is not remembered if it
  /// changed so shortly before that another change could leave its times as they are.
  void note(const std::filesystem::path& path, const io::Listing& listing, const ReadSummary& read);

  /// Writes what was found and noted, unless that is what the file holds. Fails if it cannot be
  /// written.
  Result<void> save();

 private:
  std::string_view below(const std::filesystem::path& path) const;

  const std::filesystem::path file_;
  const std::string prefix_;
  const std::string stamp_;
  const std::chrono::system_clock::time_point started_ = std::chrono::system_clock::now();
  RememberedAdapters before_;
  std::unordered_map<std::string_view, std::size_t> places_;  // In before_.
  std::mutex mutex_;
  std::vector<std::size_t> unchanged_;  // In before_.
  RememberedAdapters noted_;
};

}  // namespace ferrule::adapter
