// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "ferrule/result.hpp"

namespace ferrule::io {

/// Removes what `name` in `dir` is, folders with all they hold. Not an error if there is nothing.
Result<void> remove_tree(int dir, const std::string& name, const std::filesystem::path& path);

/// Removes the file or the whole folder at `path`. Not an error if there is nothing.
Result<void> discard_tree(const std::filesystem::path& path);

}  // namespace ferrule::io
