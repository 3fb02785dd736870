// SPDX-License-Identifier: Apache-2.0
#include "hub/huggingface/commit.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/try.hpp"
#include "ferrule/json.hpp"
#include "io/input_file.hpp"

namespace ferrule::hub {
namespace {

// A multiple of three, so that pieces of base64 join.
constexpr std::uint64_t kFilePiece = 48 * 1024;

std::string line(const char* key, Json value) {
  return Json(Json::Object{{"key", key}, {"value", std::move(value)}}).dump() + "\n";
}

}  // namespace

std::string base64(std::string_view bytes) {
  constexpr char kSigns[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto at = [&](std::size_t j) {
      return i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0U;
    };
    const unsigned group = at(0) << 16U | at(1) << 8U | at(2);
    out += kSigns[group >> 18U];
    out += kSigns[group >> 12U & 63U];
    out += i + 1 < bytes.size() ? kSigns[group >> 6U & 63U] : '=';
    out += i + 2 < bytes.size() ? kSigns[group & 63U] : '=';
  }
  return out;
}

CommitBody::CommitBody(const CommitText& text, const std::string& parent,
                       std::span<const PushFile* const> files) {
  Json header(Json::Object{{"summary", text.summary}, {"description", text.description}});
  if (!parent.empty()) header.set("parentCommit", parent);
  pieces_.push_back({line("header", std::move(header)), nullptr});
  for (const auto* file : files) {
    if (file->large) {
      pieces_.push_back({line("lfsFile", Json::Object{{"path", file->path},
                                                      {"algo", "sha256"},
                                                      {"oid", file->sha256},
                                                      {"size", Json(file->size)}}),
                         nullptr});
      continue;
    }
    pieces_.push_back({R"({"key":"file","value":{"content":")", nullptr});
    pieces_.push_back({{}, file});
    pieces_.push_back(
        {R"(","path":)" + Json(file->path).dump() + R"(,"encoding":"base64"}})" + "\n", nullptr});
  }
  for (const auto& piece : pieces_) {
    size_ += piece.file != nullptr ? (piece.file->size + 2) / 3 * 4 : piece.text.size();
  }
}

Result<void> CommitBody::refill() {
  pending_.clear();
  pending_at_ = 0;
  while (pending_.empty() && next_ < pieces_.size()) {
    const auto& piece = pieces_[next_];
    if (piece.file == nullptr) {
      pending_ = piece.text;
      ++next_;
      continue;
    }
    const auto size = std::min(kFilePiece, piece.file->size - file_at_);
    if (size > 0) {
      FERRULE_TRY(const auto input, io::InputFile::open(piece.file->file));
      std::string bytes(static_cast<std::size_t>(size), '\0');
      FERRULE_CHECK(input.read_at(file_at_, std::as_writable_bytes(std::span(bytes))));
      pending_ = base64(bytes);
      file_at_ += size;
    }
    if (file_at_ == piece.file->size) {
      file_at_ = 0;
      ++next_;
    }
  }
  return {};
}

Result<std::size_t> CommitBody::read(std::span<std::byte> out) {
  if (pending_at_ == pending_.size()) FERRULE_CHECK(refill());
  const auto size = std::min(out.size(), pending_.size() - pending_at_);
  std::memcpy(out.data(), pending_.data() + pending_at_, size);
  pending_at_ += size;
  return size;
}

Result<void> CommitBody::rewind() {
  next_ = 0;
  file_at_ = 0;
  pending_.clear();
  pending_at_ = 0;
  return {};
}

}  // namespace ferrule::hub
