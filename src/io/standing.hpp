// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "ferrule/durability.hpp"
#include "ferrule/result.hpp"
#include "io/directory_tree.hpp"

namespace ferrule::io {

/// True where this process (and so the shell that started it) stands in `directory` or below it;
/// both absolute and free of links.
bool stands_in(const std::string& directory) noexcept;

/// After a swap, while nobody finds `old` by its name: gives it what `current` has of the managed
/// files, so that it can be swapped back in.
Result<void> renew(int old, int current, const Carried& carried, Durability durability,
                   const std::filesystem::path& path);

}  // namespace ferrule::io
