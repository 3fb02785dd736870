// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>

#include "ferrule/result.hpp"

namespace ferrule::io {

enum class EntryKind : std::uint8_t { kNothing, kFile, kFolder, kLink, kOther };

/// What `path` leads to. Links are followed, so the answer is never kLink; kNothing if there is
/// no such file, or if a link leads to nothing. Fails with kIo.
Result<EntryKind> kind_at(const std::filesystem::path& path);

/// True if both paths lead to one directory (or file) that exists. Fails with kIo.
Result<bool> same_directory(const std::filesystem::path& a, const std::filesystem::path& b);

}  // namespace ferrule::io
