// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ferrule/error.hpp"

namespace ferrule::cli {

/// What the process returns; scripts rely on it (docs/cli.md).
enum ExitCode : int {
  kGood = 0,    ///< The answer is good.
  kBad = 1,     ///< The file is bad.
  kUsage = 2,   ///< The command line is not valid.
  kSystem = 3,  ///< The operating system refused.
};

/// The exit code for an operation that failed with `error`.
int exit_code(const Error& error);

}  // namespace ferrule::cli
