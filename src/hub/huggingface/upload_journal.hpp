// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>

#include "hub/huggingface/lfs_answer.hpp"

namespace ferrule::hub {

/// A multipart upload that is not complete, written down so that it survives the process. The Hub
/// gives new addresses for each batch and cannot be asked what arrived under the old ones, but the
/// old ones are valid until they expire. HOME/ferrule/uploads has one file for each object, which
/// only its owner can read because an address is a permission:
///
///   line 1         {"chunk": bytes a part, "complete": address, "expires": seconds since 1970,
///                   "addresses": {"1": address, ...}}
///   further lines  "PART ETAG", appended when the store has that part
///
///   1. find() reads both; an expired or unreadable first line is an upload that never began, a
///      line without its newline was torn by a kill and does not count.
///   2. begin() removes the old file, and those of other objects that are a week old.
///   3. note() appends a line. 4. forget() removes the file: the upload is complete or refused.
///
/// If the file cannot be read or written, parts are sent again; no error is reported.
class UploadJournal {
 public:
  /// If `home` is empty, nothing is kept. `object` identifies the upload.
  UploadJournal(const std::filesystem::path& home, const std::string& object);

  /// The upload in parts of that size, unless its addresses expired.
  std::optional<Parts> find(std::uint64_t chunk) const;
  void begin(const Parts& parts);
  /// Safe for several threads.
  void note(std::uint64_t part, const std::string& etag);
  void forget();

 private:
  std::filesystem::path folder_;
  std::string name_;
  std::mutex mutex_;
};

}  // namespace ferrule::hub
