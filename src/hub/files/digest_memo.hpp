// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "ferrule/result.hpp"
#include "io/folder.hpp"

namespace ferrule::hub {

/// The names that the Hub has for a file's content.
enum class Digest : std::uint8_t {
  kSha256,   ///< Large files: 64 hexadecimal digits.
  kGitBlob,  ///< All others: git's SHA-1 of "blob SIZE\0" and the content, 40 digits.
};

/// Digests of local files, remembered under their identity (device, inode, size and both times), so
/// that unchanged files are not read again. If the memo's own file cannot be read or written, that
/// only costs time. Safe for several threads.
class DigestMemo {
 public:
  /// Reads `home`/ferrule/digests.
  explicit DigestMemo(const std::filesystem::path& home);

  std::optional<std::string> find(const io::FileIdentity& file, Digest digest);
  /// `looked` is when the identity was taken. A file that was changed just before that could change
  /// again and keep its times, so it is not remembered.
  void note(const io::FileIdentity& file, Digest digest, const std::string& sum,
            std::chrono::system_clock::time_point looked);

 private:
  void load();

  std::mutex mutex_;
  std::filesystem::path folder_;
  std::unordered_map<std::string, std::string> sums_;
};

/// The digest of an open file's whole content, from the memo if it is there.
Result<std::string> digest_file(const io::OpenedFile& file, const std::filesystem::path& path,
                                Digest digest, DigestMemo& memo);

/// A file whose digest is wanted.
struct DigestJob {
  std::filesystem::path path;
  Digest digest = Digest::kSha256;
  std::string sum = {};
};

/// Fills in `sum` of all jobs, with as many threads as there are cores.
Result<void> digest_files(std::span<DigestJob> jobs, DigestMemo& memo);

}  // namespace ferrule::hub
