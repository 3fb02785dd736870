// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <filesystem>
#include <memory>
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
  AdapterSummary summary;
  /// Null if the summary fits this directory only.
  std::shared_ptr<const SummaryTemplate> shared;
  io::FileIdentity config;
  io::FileIdentity weights;
};

/// Reads the headers of adapters. The summary of an adapter depends on the bytes of its config, the
/// bytes of its header and the size of its file, so the last ones that were seen are kept: fleets
/// hold thousands of adapters of one recipe. Safe for several threads.
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
    std::string config;
    std::string header;
    std::uint64_t file_bytes = 0;
    std::shared_ptr<const SummaryTemplate> summary;
  };

  std::shared_ptr<const SummaryTemplate> find(const Headers& headers);
  void keep(const Headers& headers, std::shared_ptr<const SummaryTemplate> summary);
  std::optional<AdapterSummary> examine(const std::filesystem::path& directory,
                                        const Headers& headers) const;

  const OpenOptions options_;
  std::shared_mutex mutex_;
  std::vector<Known> known_;
  std::size_t oldest_ = 0;
  std::atomic<std::size_t> last_ = 0;  // Where the last one was found.
};

}  // namespace ferrule::adapter
