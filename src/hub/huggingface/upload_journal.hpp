// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>

#include "hub/huggingface/lfs_answer.hpp"

namespace ferrule::hub {

/// Multipart uploads that are under way, kept across the death of the process: the Hub gives each
/// batch new addresses and cannot be asked what arrived under the old ones, but the old ones stay
/// good until they expire. One file for each object, readable by its owner alone, since an address
/// is a permission. Any trouble with it costs a repetition and nothing else.
class UploadJournal {
 public:
  /// `home` may be empty: then nothing is kept. `object` names the upload among all others.
  UploadJournal(const std::filesystem::path& home, const std::string& object);

  /// What is known of an upload in parts of that size whose addresses are not expired.
  std::optional<Parts> find(std::uint64_t chunk) const;
  void begin(const Parts& parts);
  /// May be called by several threads at once.
  void note(std::uint64_t part, const std::string& etag);
  void forget();

 private:
  std::filesystem::path folder_;
  std::string name_;
  std::mutex mutex_;
};

}  // namespace ferrule::hub
