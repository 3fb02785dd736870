// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

/// The streams of the process: the only place of the command that talks to the terminal.
namespace ferrule::cli {

enum class Stream : std::uint8_t { kOut, kErr };

/// Writes to standard output or error. A failure is remembered and judged by finish().
void print(Stream stream, std::string_view text);

/// Flushes; 0, or the exit code for a full disk behind standard output. A reader that went away
/// (`| head`) is no failure.
int finish();

bool is_terminal(Stream stream);

/// Columns of the terminal behind standard output, or 0 where it is none (no limit).
std::size_t terminal_columns();

enum class Colour : std::uint8_t { kRed, kYellow, kCyan, kGreen, kBold, kDim };

/// `text` in that colour where the stream is a terminal and NO_COLOR and TERM=dumb do not forbid
/// it.
std::string coloured(Stream stream, Colour colour, std::string_view text);

/// Keeps a closed pipe from killing a save halfway.
void ignore_broken_pipes();

/// One line on standard error that is written over again and again, where that is a terminal.
class ProgressLine {
 public:
  ProgressLine() : enabled_(is_terminal(Stream::kErr)) {}
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine() { clear(); }
  void show(std::string_view text);
  void clear();

 private:
  bool enabled_;
  bool shown_ = false;
};

}  // namespace ferrule::cli
