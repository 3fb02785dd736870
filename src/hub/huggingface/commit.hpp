// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "ferrule/result.hpp"
#include "hub/files/push_file.hpp"
#include "hub/huggingface/repository.hpp"
#include "hub/transport/http_message.hpp"

namespace ferrule::hub {

struct CommitText {
  std::string summary;
  std::string description;
};

/// The body of a commit, one JSON object on a line (NDJSON):
///
///   {"key": "header", "value": {"summary", "description", "parentCommit"}}
///   {"key": "file", "value": {"content", "path", "encoding": "base64"}}       for small files
///   {"key": "lfsFile", "value": {"path", "algo": "sha256", "oid", "size"}}    for large files
///
/// Files are read while the body is sent, and never held in memory as a whole.
class CommitBody final : public Body {
 public:
  CommitBody(const CommitText& text, const std::string& parent,
             std::span<const PushFile* const> files);
  std::uint64_t size() const override { return size_; }
  Result<std::size_t> read(std::span<std::byte> out) override;
  Result<void> rewind() override;

 private:
  /// Text, or a file in base64.
  struct Piece {
    std::string text;
    const PushFile* file = nullptr;
  };
  Result<void> refill();

  std::vector<Piece> pieces_;
  std::uint64_t size_ = 0;
  std::size_t next_ = 0;       // The piece that refill() goes on with.
  std::uint64_t file_at_ = 0;  // Where it is in that piece's file.
  std::string pending_;
  std::size_t pending_at_ = 0;
};

std::string base64(std::string_view bytes);

}  // namespace ferrule::hub
