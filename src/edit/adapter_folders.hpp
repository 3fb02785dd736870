// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/result.hpp"
#include "io/directory_transaction.hpp"
#include "io/input_file.hpp"

namespace ferrule::edit {

/// One directory that holds an adapter, as of the moment it was opened.
struct AdapterFolder {
  /// Below the directory asked for; empty for that itself.
  std::string name;
  io::DirectoryReader reader;
  /// Plain names of its files, sorted.
  std::vector<std::string> files;

  bool has(std::string_view file) const;
  /// What to put before names of its files in a transaction on the directory asked for.
  std::string prefix() const { return name.empty() ? std::string() : name + "/"; }
};

/// The directory itself, and folders right below it that are adapters of their own (PEFT's layout
/// for names other than "default"). Fails with kCorrupt (AD-15, AD-16) where there is none.
Result<std::vector<AdapterFolder>> find_adapter_folders(const std::filesystem::path& directory);

/// Stages a copy of every file but those of `except`; the names copied.
Result<std::vector<std::string>> copy_files(const AdapterFolder& folder,
                                            const std::vector<std::string_view>& except,
                                            io::DirectoryTransaction& transaction);

}  // namespace ferrule::edit
