// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ferrule/result.hpp"

/// The streams of the process: the only place of the command that talks to the terminal.
namespace ferrule::cli {

enum class Stream : std::uint8_t { kOut, kErr };

/// Writes to standard output or error. finish() reports a failure.
void print(Stream stream, std::string_view text);

/// Flushes standard output: 0, or the exit code for a full disk. A reader that went away (`| head`)
/// is not a failure.
int finish();

/// All of standard input. Fails with kIo, or with kLimitExceeded beyond `limit` bytes.
Result<std::string> read_standard_input(std::size_t limit);

bool is_terminal(Stream stream);

/// Columns of the terminal that the stream writes to, or 0 if it is not a terminal (no limit).
std::size_t terminal_columns(Stream stream = Stream::kOut);

enum class Color : std::uint8_t { kRed, kYellow, kCyan, kGreen, kBold, kDim };

/// `text` in that color if the stream is a terminal, unless NO_COLOR is set or TERM is "dumb".
std::string colored(Stream stream, Color color, std::string_view text);

/// Keeps a closed pipe from killing a save halfway.
void ignore_broken_pipes();

}  // namespace ferrule::cli
