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

/// Everything below `directory` that a push sends, sorted by path: links to files are sent as
/// files, links to folders are not followed. Fails with HB-14 if a repository cannot have a file's
/// name.
Result<std::vector<PushFile>> list_push_files(const std::filesystem::path& directory);

/// Uses these digests for files that have not changed since they were written.
void take_digests(std::span<const WrittenFile> written, std::vector<PushFile>& files);

/// Fails with HB-19 if the file changed since it was listed.
Result<void> check_unchanged(const PushFile& file);

/// Remembers the digests that were given. By now the files are old enough for the memo.
void remember(const std::vector<PushFile>& files, DigestMemo& memo);

}  // namespace ferrule::hub
