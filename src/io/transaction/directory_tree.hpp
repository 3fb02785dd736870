// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "ferrule/durability.hpp"
#include "ferrule/result.hpp"

namespace ferrule::io {

/// What a swap needs to know about the directory it replaces. Paths are relative to it.
struct Carried {
  std::uint64_t staged_inode = 0;              ///< Of the directory that will be swapped in.
  std::map<std::string, std::uint64_t> files;  ///< The user's, and which file each was.
  std::set<std::string> folders;
  std::set<std::string> managed;  ///< What the save writes or removes.

  std::string encode() const;
  /// nullopt for anything but a whole encode().
  static std::optional<Carried> decode(std::string_view text);
};

/// TX-4: puts everything of `from` but `carried.managed` also into `to`: files as hard links,
/// folders made again with owner, mode and times, and records it in `carried`. False if that
/// cannot be done (another's file, another file system): then the directory cannot be swapped.
Result<bool> carry_over(int from, int to, Carried& carried, Durability durability,
                        const std::filesystem::path& path);

/// Gives `to` the extended attributes (access lists among them) of `from`; false if it may not.
Result<bool> copy_attributes(int from, int to, const std::filesystem::path& path);

/// TX-5: gives the directory `to` owner and mode of `from`; false if it may not.
Result<bool> copy_owner_and_mode(const struct stat& from, int to,
                                 const std::filesystem::path& path);

/// After a swap: brings what changed in the directory `old` since `carried` was noted into the
/// directory `current` that took its place.
Result<void> bring_changes(int old, int current, const Carried& carried,
                           const std::filesystem::path& path);

}  // namespace ferrule::io
