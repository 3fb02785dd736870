// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <vector>

#include "ferrule/result.hpp"
#include "hub/files/remote_file.hpp"

namespace ferrule::hub {

/// Copies the files of a snapshot into `output`, all or none (docs/rules/TX.md), and checks each
/// file again while it is copied. Other files in `output` stay.
Result<void> place_files(const std::filesystem::path& snapshot,
                         const std::vector<RemoteFile>& files, const std::filesystem::path& output);

}  // namespace ferrule::hub
