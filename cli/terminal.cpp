// SPDX-License-Identifier: Apache-2.0
#include "terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "command.hpp"

namespace ferrule::cli {
namespace {

int g_output_errno = 0;  // Of the first write to standard output that failed.

std::FILE* file_of(Stream stream) { return stream == Stream::kOut ? stdout : stderr; }

bool wants_colour(Stream stream) {
  const char* no_colour = std::getenv("NO_COLOR");
  if (no_colour != nullptr && *no_colour != '\0') return false;
  const char* term = std::getenv("TERM");
  if (term == nullptr || std::strcmp(term, "dumb") == 0) return false;
  return is_terminal(stream);
}

const char* code_of(Colour colour) {
  switch (colour) {
    case Colour::kRed:
      return "\033[31m";
    case Colour::kYellow:
      return "\033[33m";
    case Colour::kCyan:
      return "\033[36m";
    case Colour::kGreen:
      return "\033[32m";
    case Colour::kBold:
      return "\033[1m";
    case Colour::kDim:
      return "\033[2m";
  }
  return "";
}

}  // namespace

void print(Stream stream, std::string_view text) {
  errno = 0;
  const auto written = std::fwrite(text.data(), 1, text.size(), file_of(stream));
  if (written != text.size() && stream == Stream::kOut && g_output_errno == 0) {
    g_output_errno = errno != 0 ? errno : EIO;
  }
}

int finish() {
  errno = 0;
  if (std::fflush(stdout) != 0 && g_output_errno == 0) g_output_errno = errno != 0 ? errno : EIO;
  if (g_output_errno == 0 || g_output_errno == EPIPE) return kGood;
  print(Stream::kErr, "standard output: " + std::string(std::strerror(g_output_errno)) + "\n");
  return kSystem;
}

bool is_terminal(Stream stream) { return ::isatty(::fileno(file_of(stream))) == 1; }

std::size_t terminal_columns() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

std::string coloured(Stream stream, Colour colour, std::string_view text) {
  if (!wants_colour(stream)) return std::string(text);
  return code_of(colour) + std::string(text) + "\033[0m";
}

void ignore_broken_pipes() { std::signal(SIGPIPE, SIG_IGN); }

void ProgressLine::show(std::string_view text) {
  if (!enabled_) return;
  print(Stream::kErr, "\r\033[K" + std::string(text));
  shown_ = true;
}

void ProgressLine::clear() {
  if (!shown_) return;
  print(Stream::kErr, "\r\033[K");
  shown_ = false;
}

}  // namespace ferrule::cli
