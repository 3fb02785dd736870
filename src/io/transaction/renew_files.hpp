// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "ferrule/durability.hpp"
#include "ferrule/result.hpp"
#include "io/transaction/directory_tree.hpp"

namespace ferrule::io {

/// After a swap, when no name leads to `old` any more: gives it what `current` has of the managed
/// files, so that it can be swapped back in.
Result<void> renew_files(int old, int current, const Carried& carried, Durability durability,
                         const std::filesystem::path& path);

}  // namespace ferrule::io
