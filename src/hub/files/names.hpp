// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "ferrule/result.hpp"

namespace ferrule::hub {

/// Fails with HB-1 unless a repository on the Hub can have this id.
Result<void> check_repo_id(std::string_view id);
/// Fails with HB-1 unless a branch, tag or commit can have this name. It becomes one segment of a
/// URL and a path below `refs`.
Result<void> check_revision(std::string_view revision);
/// Whether a file can be created at this path from a listing, below a folder: the path is relative,
/// has plain names and no "..", and no system or program reads it as something else.
bool is_safe_path(std::string_view path) noexcept;
/// 40 hexadecimal digits: a commit.
bool is_commit(std::string_view text) noexcept;
bool is_hex(std::string_view text, std::size_t digits) noexcept;
/// Whether a push leaves out a file or folder of that plain name: version control, caches, locks,
/// temporary files.
bool is_left_out(std::string_view name) noexcept;

}  // namespace ferrule::hub
