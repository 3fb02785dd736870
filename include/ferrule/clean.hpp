// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <vector>

#include "ferrule/error.hpp"
#include "ferrule/export.hpp"
#include "ferrule/result.hpp"

namespace ferrule {

/// What clean() did. Sorted by path.
struct [[nodiscard]] CleanReport {
  std::vector<std::filesystem::path> removed;
  /// Of saves that are still at work.
  std::vector<std::filesystem::path> in_use;
  /// Another user's, or with files of a directory that does not exist any more: look at them.
  std::vector<std::filesystem::path> kept;
  /// What could not be listed or removed.
  std::vector<Error> errors;
};

/// Removes what interrupted saves left in `folder`, in all folders below it, and next to `folder`
/// for it (docs/rules/TX.md, TX-8). A save that was committed is finished, as the next one would
/// do. `folder` does not have to exist: the first save to it may have been interrupted. Fails with
/// kIo or kNotFound if it cannot be listed and nothing was left for it.
FERRULE_API Result<CleanReport> clean(const std::filesystem::path& folder);

}  // namespace ferrule
