// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "adapter/summary_template.hpp"
#include "ferrule/read_limits.hpp"
#include "io/file_identity.hpp"
#include "io/walk.hpp"

namespace ferrule::adapter {

/// What was read of an adapter, and which content that was.
struct ReadSummary {
  /// Owned by the KnownHeaders; null if the summary fits this directory only.
  const SummaryTemplate* shared = nullptr;
  /// Replaces the base model of `shared`.
  std::optional<std::string> base_model;
  /// The summary itself if it is not shared.
  std::unique_ptr<AdapterSummary> own;
  io::FileIdentity config;
  io::FileIdentity weights;
};

/// Reads the headers of adapters. The summary of an adapter depends on the bytes of its config, the
/// bytes of its header and the size of its file, so the last ones that were seen are kept: fleets
/// hold thousands of adapters of one recipe. The name of the base model is copied into the summary
/// and nothing else depends on it, so that configs which differ only there count as the same. Safe
/// for several threads.
class KnownHeaders {
 public:
  explicit KnownHeaders(OpenOptions options) : options_(std::move(options)) {}

  /// The summary of the adapter in a directory that is being visited; nullopt if it has to be
  /// opened in the usual way, which also says what is wrong with it.
  std::optional<ReadSummary> read(const std::filesystem::path& directory,
                                  const io::Listing& listing);

 private:
  struct Headers {
    std::string_view config;
    std::string_view header;  ///< With its length.
    std::uint64_t file_bytes = 0;
  };
  struct Known {
    std::string before;                ///< The config up to the name of the base model.
    std::optional<std::string> after;  ///< What follows it; nullopt if `before` is everything.
    std::string header;
    std::uint64_t file_bytes = 0;
    const SummaryTemplate* summary = nullptr;

    bool fits(const Headers& headers) const;
    /// The name of the base model in a config that fits.
    std::optional<std::string_view> base_model(std::string_view config) const;
  };

  bool find(const Headers& headers, ReadSummary& found);
  const SummaryTemplate* keep(const Headers& headers, SummaryTemplate summary);
  std::unique_ptr<AdapterSummary> examine(const std::filesystem::path& directory,
                                          const Headers& headers) const;

  const OpenOptions options_;
  std::shared_mutex mutex_;
  std::deque<SummaryTemplate> summaries_;
  std::vector<Known> known_;
  std::size_t oldest_ = 0;
  std::atomic<std::size_t> last_ = 0;  // Where the last one was found.
};

}  // namespace ferrule::adapter
