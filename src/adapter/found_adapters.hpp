// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "adapter/folder_memo.hpp"
#include "adapter/known_headers.hpp"
#include "ferrule/inspect.hpp"

namespace ferrule::adapter {

/// The adapters that several threads find in a folder. Summaries are large and mostly alike, so
/// that they are made at the end, in their order.
class FoundAdapters {
 public:
  using Progress = std::function<void(std::uint64_t adapters)>;

  FoundAdapters(const std::filesystem::path& folder, const Progress& progress)
      : folder_(folder.native()), progress_(progress) {}

  void add(const std::filesystem::path& directory, ReadSummary read);
  void add(AdapterSummary summary);
  /// So many were found in the memo.
  void count(std::size_t adapters);

  /// All of them, with those that are unchanged in the memo, sorted by path.
  std::vector<AdapterSummary> take(const FolderMemo& memo, unsigned threads);

 private:
  struct Found {
    std::string path;
    ReadSummary read;
  };
  void add(Found found);
  std::string_view below(std::string_view path) const;

  const std::string folder_;
  const Progress& progress_;
  std::mutex mutex_;
  std::uint64_t counted_ = 0;
  std::vector<Found> found_;
};

}  // namespace ferrule::adapter
