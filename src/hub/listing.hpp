// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/json.hpp"
#include "ferrule/result.hpp"
#include "hub/repository.hpp"

namespace ferrule::hub {

/// A file of a commit, as the Hub lists it.
struct RemoteFile {
  std::string path;
  std::uint64_t size = 0;
  std::string blob = {};    ///< Git's name for it; of a large file, for its pointer.
  std::string sha256 = {};  ///< Of a large file.
  std::string xet = {};     ///< Its name in Xet, where it has one.

  bool large() const noexcept { return !sha256.empty(); }
  /// What its content is checked by, and called in the cache.
  const std::string& etag() const noexcept { return large() ? sha256 : blob; }
};

/// The files of a commit, sorted by path; every path and hash is safe to use. Fails with HB-14 for
/// a listing that reaches out of its folder, with HB-12 for what is no listing.
Result<std::vector<RemoteFile>> list_files(const Repository& repository, const std::string& commit);

/// The files of one page of the Hub's listing; `what` is it for messages. To be checked when all
/// pages are there.
Result<void> take_page(const Json& page, const std::string& what, std::vector<RemoteFile>& files);
/// The address of the next page, out of a Link header; empty where this was the last.
std::string next_page(std::string_view link);

/// `trees/<commit>.json` of the cache, as huggingface_hub writes and reads it.
std::string tree_text(const std::vector<RemoteFile>& files);
Result<std::vector<RemoteFile>> parse_tree(const std::string& text);

/// Names that would overwrite each other or stand in each other's way are refused (HB-14).
Result<void> check_listing(std::vector<RemoteFile>& files);

}  // namespace ferrule::hub
