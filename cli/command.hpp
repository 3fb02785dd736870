// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>

#include "ferrule/error.hpp"

namespace ferrule::cli {

/// What the process returns; scripts rely on it (docs/cli.md).
enum ExitCode : int {
  kGood = 0,    ///< The answer is good.
  kBad = 1,     ///< The file is bad.
  kUsage = 2,   ///< The command line asks for something that makes no sense.
  kSystem = 3,  ///< The operating system refused.
};

/// The exit code for an operation on `given`, a path of the command line, that failed with `error`.
/// A file that lies beside what was asked for and is missing makes the data bad; a path that does
/// not exist is the caller's system.
int exit_code(const Error& error, const std::filesystem::path& given);

/// Reports the failure of a whole operation on `given`, as text and where `json` as the document
/// too; returns the exit code.
int fail(const Error& error, const std::filesystem::path& given, bool json);

/// What a command does once its options are parsed; returns the exit code.
using Action = std::function<int()>;

// Each adds its options to `command` and returns what to run.
Action add_check(CLI::App& command);
Action add_save(CLI::App& command);
Action add_inspect(CLI::App& command);
Action add_verify(CLI::App& command);
Action add_convert(CLI::App& command);
Action add_diff(CLI::App& command);
Action add_explain(CLI::App& command);
Action add_fix(CLI::App& command);
Action add_id(CLI::App& command);
Action add_normalize(CLI::App& command);
Action add_config(CLI::App& command);
Action add_scan(CLI::App& command);
Action add_state_dict(CLI::App& command);
#ifdef FERRULE_HAS_HUB
Action add_push(CLI::App& command);
Action add_pull(CLI::App& command);
#endif

}  // namespace ferrule::cli
