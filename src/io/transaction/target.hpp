// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "ferrule/result.hpp"
#include "io/unique_fd.hpp"

namespace ferrule::io {

/// How often a save looks again if other savers keep changing the target: far more often than any
/// of them could.
inline constexpr int kMaxRounds = 10000;

/// The destination of a save: links followed, split into what exists and what does not.
struct Target {
  std::filesystem::path path;  ///< As the caller named it, for messages.
  std::string parent_path;     ///< Absolute, free of links.
  UniqueFd parent;             ///< The directory that will hold `name`; only to name things in it.
  std::string name;            ///< What appears in `parent`; empty for the root directory.
  std::string below;           ///< What else is missing below `name` ("b/out"); empty as a rule.
  UniqueFd directory;          ///< `parent`/`name`, readable; none where it does not exist yet.
};

/// Fails with kInvalidArgument (a file, a dangling link), kUnsupported (FIFO, device) or kIo.
Result<Target> resolve_target(const std::filesystem::path& path);

/// False if another saver (or a user) changed what the names of `target` lead to.
Result<bool> still_there(const Target& target);

/// True if the directory is where another file system (or a part of one) is mounted: it cannot
/// be exchanged. A hint that saves a copy; if it cannot tell, the exchange itself will.
bool is_mount_point(int directory) noexcept;

/// `name` may name a file below a directory: relative, no empty, "." or ".." component, no NUL.
bool is_plain_path(std::string_view name) noexcept;

/// The folder of `name` below `dir`, where no component may be a link: its descriptor (for naming
/// things in it only) and the last component.
struct OpenedParent {
  UniqueFd folder;
  std::string name;
};
Result<OpenedParent> open_parent(int dir, std::string_view name, const std::filesystem::path& path);

/// Makes the folders below `dir` that `name` is in.
Result<void> make_folders(int dir, const std::string& name, const std::filesystem::path& path);

}  // namespace ferrule::io
