// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

#include "ferrule/result.hpp"
#include "hub/files/push_file.hpp"
#include "hub/huggingface/repository.hpp"
#include "hub/transport/lanes.hpp"
#include "hub/transport/meter.hpp"

namespace ferrule::hub {

/// A way to send large files to the store that the Hub uses. LFS is the only one today; Xet can be
/// added next to it.
class Uploader {
 public:
  virtual ~Uploader() = default;
  /// Sends the files that the store does not have. They will be committed to `branch` (empty for a
  /// pull request).
  virtual Result<void> upload(std::span<const PushFile* const> files, const std::string& branch,
                              Meter& meter) = 0;
};

/// Git LFS's batch API with the Hub's multipart transfer (HB-18 if the Hub or the store refuses):
///
///   1. POST ID.git/info/lfs/objects/batch with digests and sizes of up to 256 files. The answer
///      has for each file the actions that remain, or an error; no action: the store has the file.
///   2. Without `chunk_size` in the headers of the action "upload": PUT the file to its address.
///   3. With it: PUT each part to the address that its number names, several at a time. Each ETag
///      is noted (UploadJournal), so that a push that is killed continues with the missing parts.
///      Then POST the list of ETags to the address of the action.
///   4. POST to the address of the action "verify", if there is one.
///
/// If an address expires on the way (400, 401, 403), step 1 is repeated for that file. Upload
/// addresses get the headers that the Hub gave for them, and never the user's token.
class LfsUploader final : public Uploader {
 public:
  LfsUploader(const Repository& repository, Lanes& lanes)
      : repository_(repository), lanes_(lanes) {}
  Result<void> upload(std::span<const PushFile* const> files, const std::string& branch,
                      Meter& meter) override;

 private:
  const Repository& repository_;
  Lanes& lanes_;
};

}  // namespace ferrule::hub
