// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/result.hpp"
#include "io/transaction/directory_reader.hpp"

namespace ferrule::adapter {

/// One directory that holds an adapter, as of the moment it was opened.
struct AdapterFolder {
  /// Below the directory asked for; empty for that itself.
  std::string name;
  io::DirectoryReader reader;
  /// Plain names of its files, sorted.
  std::vector<std::string> files;

  /// The directory itself, whatever is in it.
  static Result<AdapterFolder> open(const std::filesystem::path& directory);

  bool has(std::string_view file) const;
};

/// The directory itself, and folders right below it that are adapters of their own (PEFT's layout
/// for names other than "default"). Fails with kCorrupt (AD-15, AD-16) if there are none.
Result<std::vector<AdapterFolder>> find_adapter_folders(const std::filesystem::path& directory);

}  // namespace ferrule::adapter
