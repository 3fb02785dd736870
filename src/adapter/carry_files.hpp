// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "ferrule/result.hpp"
#include "io/transaction/directory_reader.hpp"
#include "io/transaction/directory_transaction.hpp"
#include "io/walk.hpp"

namespace ferrule::adapter {

/// Copies those of the directory's files that are still there into the transaction, under `prefix`,
/// leaving out the names in `except`; returns the names copied.
Result<std::vector<std::string>> carry_files(const io::DirectoryReader& reader,
                                             std::span<const std::string> names,
                                             std::span<const std::string_view> except,
                                             const std::string& prefix,
                                             io::DirectoryTransaction& transaction);

/// What is in a folder that is carried whole, in the order of names; `depth` is 1 for a folder of
/// the directory itself. Fails with kLimitExceeded if that is too deep, kIo.
Result<io::Listing> list_carried(const std::filesystem::path& directory, int depth);

/// Copies whole folders of the directory into the transaction, except hidden ones and `except`: the
/// modules of sentence-transformers (1_Pooling, 1_Dense) have weights of their own. Links are not
/// followed. Returns the names copied, with the folders before them.
/// Fails with kLimitExceeded if folders are nested deeper than any of these.
Result<std::vector<std::string>> carry_folders(const std::filesystem::path& directory,
                                               std::span<const std::string> except,
                                               const std::string& prefix,
                                               io::DirectoryTransaction& transaction);

}  // namespace ferrule::adapter
