// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "ferrule/result.hpp"
#include "io/transaction/directory_reader.hpp"
#include "io/transaction/directory_transaction.hpp"

namespace ferrule::adapter {

/// Copies those of the directory's files that are still there into the transaction, under `prefix`,
/// leaving out the names in `except`; returns the names copied.
Result<std::vector<std::string>> carry_files(const io::DirectoryReader& reader,
                                             std::span<const std::string> names,
                                             std::span<const std::string_view> except,
                                             const std::string& prefix,
                                             io::DirectoryTransaction& transaction);

}  // namespace ferrule::adapter
