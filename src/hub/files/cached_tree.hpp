// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "ferrule/result.hpp"
#include "hub/files/remote_file.hpp"

namespace ferrule::hub {

/// `trees/<commit>.json` of the cache, as huggingface_hub writes and reads it.
std::string tree_text(const std::vector<RemoteFile>& files);
Result<std::vector<RemoteFile>> parse_tree(const std::string& text);

}  // namespace ferrule::hub
