// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ferrule/json.hpp"
#include "ferrule/result.hpp"
#include "hub/files/remote_file.hpp"
#include "hub/huggingface/repository.hpp"

namespace ferrule::hub {

/// The files of a commit, sorted by path; every path and hash is safe to use. Fails with HB-14 if a
/// path leads out of its folder, with HB-12 if the answer is not a listing.
Result<std::vector<RemoteFile>> list_files(const Repository& repository, const std::string& commit);

/// Appends the files of one page of the Hub's listing. `what` names the listing in messages. Call
/// check_listing() after the last page.
Result<void> take_page(const Json& page, const std::string& what, std::vector<RemoteFile>& files);
/// The address of the next page, from a Link header; empty if this was the last page.
std::string next_page(std::string_view link);

}  // namespace ferrule::hub
