// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "ferrule/durability.hpp"
#include "ferrule/result.hpp"

namespace ferrule::io {

/// Renames a staged, flushed file; copies it (with mode and owner, and flushed again) if the two
/// folders are on different mounts. The copy leaves the original where it is.
Result<void> move_file(int from_dir, const std::string& from, int to_dir, const std::string& to,
                       Durability durability, const std::filesystem::path& path);

}  // namespace ferrule::io
