// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "ferrule/result.hpp"

namespace ferrule::io {

/// What became of something that an interrupted save may have left (TX-8).
enum class Swept : std::uint8_t {
  kRemoved,
  kGone,   ///< It was not there any more.
  kInUse,  ///< A saver is at work on it.
  kKept,   ///< It is another user's, or may hold files that belong to a directory that is gone.
};

/// Removes the stage or the temporary file `name` in `directory` as the next saver would: an
/// interrupted save that was committed is finished first, and what appeared in the old directory
/// meanwhile is brought into the new one. Fails with kIo.
Result<Swept> sweep(const std::filesystem::path& directory, const std::string& name);

}  // namespace ferrule::io
