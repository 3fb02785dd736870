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

/// What the Hub calls a file's content by.
enum class Digest : std::uint8_t {
  kSha256,   ///< Large files: 64 hexadecimal digits.
  kGitBlob,  ///< All others: git's SHA-1 of "blob SIZE\0" and the content, 40 digits.
};

/// Digests of files of this machine, remembered under their identity (device, inode, size and both
/// times), so that what did not change is not read again. Any trouble with its file only costs
/// speed. May be used by several threads at once.
class DigestMemo {
 public:
  /// Reads `home`/ferrule/digests.
  explicit DigestMemo(const std::filesystem::path& home);

  std::optional<std::string> find(const io::FileIdentity& file, Digest digest);
  /// `looked` is when the identity was taken: a file changed just before could change again without
  /// another time, and is not remembered.
  void note(const io::FileIdentity& file, Digest digest, const std::string& sum,
            std::chrono::system_clock::time_point looked);

 private:
  void load();

  std::mutex mutex_;
  std::filesystem::path folder_;
  std::unordered_map<std::string, std::string> sums_;
};

/// The digest of an open file's whole content, from the memo where it stands there.
Result<std::string> digest_file(const io::OpenedFile& file, const std::filesystem::path& path,
                                Digest digest, DigestMemo& memo);

/// A file whose digest is wanted.
struct DigestJob {
  std::filesystem::path path;
  Digest digest = Digest::kSha256;
  std::string sum = {};
};

/// Fills in all of them, as many at once as there are cores.
Result<void> digest_files(std::span<DigestJob> jobs, DigestMemo& memo);

}  // namespace ferrule::hub
