// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "ferrule/error.hpp"

namespace ferrule::cli {

/// What the process returns; scripts rely on it (docs/cli.md).
enum ExitCode : int {
  kGood = 0,    ///< The answer is good.
  kBad = 1,     ///< The file is bad.
  kUsage = 2,   ///< The command line is not valid.
  kSystem = 3,  ///< The operating system refused.
};

/// The exit code for an operation on `given`, a path of the command line, that failed with `error`.
/// A file that is missing from an existing `given` makes the data bad; if `given` does not exist,
/// the command line named the wrong path, which counts as the system's answer.
int exit_code(const Error& error, const std::filesystem::path& given);

}  // namespace ferrule::cli
