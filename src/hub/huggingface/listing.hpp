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

/// The files of a commit, sorted by path; every path and hash is safe to use. Fails with HB-14 for
/// a listing that reaches out of its folder, with HB-12 for what is no listing.
Result<std::vector<RemoteFile>> list_files(const Repository& repository, const std::string& commit);

/// The files of one page of the Hub's listing; `what` is it for messages. To be checked when all
/// pages are there.
Result<void> take_page(const Json& page, const std::string& what, std::vector<RemoteFile>& files);
/// The address of the next page, out of a Link header; empty where this was the last.
std::string next_page(std::string_view link);

}  // namespace ferrule::hub
