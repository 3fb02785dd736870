// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "ferrule/hub.hpp"
#include "ferrule/result.hpp"
#include "hub/files/digest_memo.hpp"
#include "io/folder.hpp"

namespace ferrule::hub {

/// A local file that a push sends.
struct PushFile {
  std::string path;            ///< In the repository.
  std::filesystem::path file;  ///< On this machine.
  std::uint64_t size = 0;
  io::FileIdentity identity = {};
  std::string sample = {};  ///< The first 512 bytes.
  bool large = false;       ///< The Hub wants it as a Git LFS object.
  bool ignored = false;
  std::string remote = {};  ///< The digest that the Hub has under this path; empty for none.
  std::string sha256 = {};
  std::string git = {};
  bool given = false;  ///< The digests came from the code that wrote the file.

  const std::string& digest() const noexcept { return large ? sha256 : git; }
};

/// What is below a directory, sorted by path.
struct PushListing {
  std::vector<PushFile> files;
  std::vector<LeftBehind> left_behind;
};

/// What a push of `directory` sends, and what it does not (push_choice.hpp): links to files are
/// sent as files, links to folders are not followed. Fails with HB-14 if a repository cannot have
/// the name of a file that is sent.
Result<PushListing> list_push_files(const std::filesystem::path& directory,
                                    const PushOptions& options);

/// The report of a push that only lists (PushOptions::dry_run).
PushReport dry_report(std::string destination, PushListing listing);

/// Uses these digests for files that have not changed since they were written.
void take_digests(std::span<const WrittenFile> written, std::vector<PushFile>& files);

/// Fails with HB-19 if the file changed since it was listed.
Result<void> check_unchanged(const PushFile& file);

/// Remembers the digests that were given. By now the files are old enough for the memo.
void remember(const std::vector<PushFile>& files, DigestMemo& memo);

}  // namespace ferrule::hub
