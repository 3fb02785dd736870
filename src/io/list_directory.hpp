// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "ferrule/result.hpp"

namespace ferrule::io {

struct DirectoryEntry {
  std::string name;
  std::uint64_t inode = 0;  ///< As the directory has it; some layered file systems stat another.
  unsigned char type = 0;   ///< A DT_ constant; DT_UNKNOWN on file systems that do not report it.
};

/// The entries of the directory, from the position of `fd` on, in no order, "." and ".." left out.
Result<std::vector<DirectoryEntry>> list_directory(int fd, const std::filesystem::path& path);

/// The type of an entry of the directory `dir`, a DT_ constant; DT_UNKNOWN if the entry has gone.
Result<unsigned char> entry_type(int dir, const DirectoryEntry& entry,
                                 const std::filesystem::path& path);

}  // namespace ferrule::io
