// SPDX-License-Identifier: Apache-2.0
#include "hub/files/digest_memo.hpp"

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>

#include "base/parallel.hpp"
#include "base/try.hpp"
#include "ferrule/text_file.hpp"
#include "io/digest.hpp"
#include "io/input_file.hpp"
#include "io/partial_file.hpp"

namespace ferrule::hub {
namespace {

constexpr const char* kName = "digests";
constexpr std::uint64_t kMaxBytes = std::uint64_t{4} << 20;
constexpr std::size_t kPiece = std::size_t{1} << 20;
// A file system's clock ticks every ten milliseconds at the slowest; some keep whole seconds.
constexpr std::int64_t kTick = 50'000'000;
constexpr std::int64_t kCoarseTick = 2'000'000'000;

std::string key_of(const io::FileIdentity& file, Digest digest) {
  const char* const name = digest == Digest::kSha256 ? "sha256" : "git";
  return std::to_string(file.device) + " " + std::to_string(file.inode) + " " +
         std::to_string(file.size) + " " + std::to_string(file.modified_ns) + " " +
         std::to_string(file.changed_ns) + " " + name;
}

std::size_t digits_of(Digest digest) { return digest == Digest::kSha256 ? 64 : 40; }

}  // namespace

DigestMemo::DigestMemo(const std::filesystem::path& home) {
  if (home.empty()) return;
  folder_ = home / "ferrule";
  load();
}

void DigestMemo::load() {
  const auto text = read_text_file(folder_ / kName, kMaxBytes);
  if (!text) {
    // A file that grew too large starts again, empty.
    if (text.error().code == ErrorCode::kLimitExceeded) {
      if (const auto folder = io::Folder::make(folder_)) (void)folder->write(kName, {});
    }
    return;
  }
  std::size_t at = 0;
  while (at < text->size()) {
    const auto end = text->find('\n', at);
    if (end == std::string::npos) return;  // Torn: another process is writing it.
    const auto line = text->substr(at, end - at);
    const auto space = line.rfind(' ');
    if (space != std::string::npos) sums_[line.substr(0, space)] = line.substr(space + 1);
    at = end + 1;
  }
}

std::optional<std::string> DigestMemo::find(const io::FileIdentity& file, Digest digest) {
  const std::lock_guard lock(mutex_);
  const auto found = sums_.find(key_of(file, digest));
  if (found == sums_.end() || found->second.size() != digits_of(digest)) return std::nullopt;
  return found->second;
}

void DigestMemo::note(const io::FileIdentity& file, Digest digest, const std::string& sum,
                      std::chrono::system_clock::time_point looked) {
  const auto now =
      std::chrono::duration_cast<std::chrono::nanoseconds>(looked.time_since_epoch()).count();
  const auto latest = std::max(file.modified_ns, file.changed_ns);
  const bool coarse = file.changed_ns % 1'000'000'000 == 0;
  if (now - latest < (coarse ? kCoarseTick : kTick)) return;
  const std::lock_guard lock(mutex_);
  auto key = key_of(file, digest);
  const auto line = key + " " + sum + "\n";
  sums_[std::move(key)] = sum;
  if (folder_.empty()) return;
  if (const auto folder = io::Folder::make(folder_)) (void)io::append_line(*folder, kName, line);
}

Result<std::string> digest_file(const io::OpenedFile& file, const std::filesystem::path& path,
                                Digest digest, DigestMemo& memo) {
  const auto looked = std::chrono::system_clock::now();
  FERRULE_TRY(const auto before, io::identity_of(file.fd.get(), path));
  if (auto known = memo.find(before, digest)) return std::move(*known);
  io::Sha256 sha256;
  auto sha1 = io::git_blob(before.size);
  std::vector<std::byte> buffer(static_cast<std::size_t>(
      std::min<std::uint64_t>(kPiece, std::max<std::uint64_t>(1, before.size))));
  for (std::uint64_t at = 0; at < before.size;) {
    const auto size =
        static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), before.size - at));
    const std::span<std::byte> piece(buffer.data(), size);
    FERRULE_CHECK(io::read_fully(file.fd.get(), at, piece, path));
    if (digest == Digest::kSha256) {
      sha256.update(piece);
    } else {
      sha1.update(piece);
    }
    at += size;
  }
  auto sum = digest == Digest::kSha256 ? io::to_hex(sha256.finish()) : io::to_hex(sha1.finish());
  FERRULE_TRY(const auto after, io::identity_of(file.fd.get(), path));
  if (after == before) memo.note(before, digest, sum, looked);
  return sum;
}

Result<void> digest_files(std::span<DigestJob> jobs, DigestMemo& memo) {
  std::mutex mutex;
  std::optional<Error> failed;
  base::parallel_for(jobs.size(), 0, [&](std::size_t i) {
    auto& job = jobs[i];
    auto sum = [&]() -> Result<std::string> {
      FERRULE_TRY(const auto file, io::InputFile::open(job.path));
      return digest_file(file.opened(), job.path, job.digest, memo);
    }();
    if (sum) {
      job.sum = std::move(*sum);
      return;
    }
    const std::lock_guard lock(mutex);
    if (!failed) failed = std::move(sum).error();
  });
  if (failed) return std::move(*failed);
  return {};
}

}  // namespace ferrule::hub
