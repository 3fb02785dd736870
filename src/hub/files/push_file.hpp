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

/// A file on its way to the Hub.
struct PushFile {
  std::string path;            ///< In the repository.
  std::filesystem::path file;  ///< Here.
  std::uint64_t size = 0;
  io::FileIdentity identity = {};
  std::string sample = {};  ///< The first 512 bytes.
  bool large = false;       ///< The Hub wants it by LFS.
  bool ignored = false;
  std::string remote = {};  ///< The digest that the Hub has under this path; empty for none.
  std::string sha256 = {};
  std::string git = {};
  bool given = false;  ///< The digests came from whoever wrote the file.

  const std::string& digest() const noexcept { return large ? sha256 : git; }
};

/// Everything below `directory` that a push sends, sorted by path: links to files as files, links
/// to folders not. Fails with HB-14 where a name cannot stand in a repository.
Result<std::vector<PushFile>> list_push_files(const std::filesystem::path& directory);

/// Takes over the digests of files that are still as they were written.
void take_digests(std::span<const WrittenFile> written, std::vector<PushFile>& files);

/// Fails with HB-19 where the file is no longer the one that was listed.
Result<void> check_unchanged(const PushFile& file);

/// Notes digests that were given: by now the files are old enough for it.
void remember(const std::vector<PushFile>& files, DigestMemo& memo);

}  // namespace ferrule::hub
