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

/// How large files come to the store behind the Hub. One way today; another (Xet) can stand beside
/// it.
class Uploader {
 public:
  virtual ~Uploader() = default;
  /// Sends those of the files that the store does not have, `branch` being where they will be
  /// committed (empty for a pull request).
  virtual Result<void> upload(std::span<const PushFile* const> files, const std::string& branch,
                              Meter& meter) = 0;
};

/// Git LFS: batch, basic and multipart transfers, verify.
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
