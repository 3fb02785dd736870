// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/result.hpp"
#include "io/transaction/directory_reader.hpp"
#include "io/transaction/directory_transaction.hpp"

namespace ferrule::merging {

/// Brings files of the base that a merge does not change into its output.
class OtherFiles {
 public:
  OtherFiles(io::DirectoryTransaction& transaction, bool links)
      : transaction_(transaction), links_(links) {}

  /// A file as it is; true if it is a second name of the base's. Small files are copied in any
  /// case, so that changing one later leaves the base alone, unless they hold weights.
  Result<bool> bring(const io::DirectoryReader& from, const std::string& name, std::string_view as,
                     bool weights);

  /// All folders in the base but hidden ones. What they hold of the base's weights in another
  /// format is left out.
  Result<void> bring_folders(const std::filesystem::path& base);

  /// What was brought from folders, and what was left out there, sorted.
  const std::vector<std::string>& from_folders() const noexcept { return brought_; }
  const std::vector<std::string>& left_out() const noexcept { return left_out_; }
  std::uint64_t bytes_copied() const noexcept { return bytes_copied_; }

 private:
  Result<void> bring_folder(const std::filesystem::path& directory, const std::string& inside,
                            int depth);

  io::DirectoryTransaction& transaction_;
  bool links_;
  std::vector<std::byte> buffer_;
  std::vector<std::string> brought_;
  std::vector<std::string> left_out_;
  std::uint64_t bytes_copied_ = 0;
};

}  // namespace ferrule::merging
