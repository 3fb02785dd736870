// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

#include "arguments.hpp"
#include "ferrule/json.hpp"

namespace ferrule::cli {

/// "Usage: ferrule check [options] --base PATH ADAPTER", without a newline.
std::string usage_line(const Arguments& command);

/// The help of one command, or the list of commands, wrapped at `columns`.
std::string help_text(const Arguments& command, std::size_t columns);

/// The columns for help: those of the terminal, up to a width that is comfortable to read; 80 if
/// standard output is not a terminal.
std::size_t help_columns();

/// All commands with their arguments as data, for completions, the man page and other programs.
Json::Array describe_commands(const Arguments& root);

}  // namespace ferrule::cli
