// SPDX-License-Identifier: Apache-2.0
#include "terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "exit_code.hpp"

namespace ferrule::cli {
namespace {

int g_output_errno = 0;  // Of the first write to standard output that failed.

std::FILE* file_of(Stream stream) { return stream == Stream::kOut ? stdout : stderr; }

bool wants_color(Stream stream) {
  const char* no_color = std::getenv("NO_COLOR");
  if (no_color != nullptr && *no_color != '\0') return false;
  const char* term = std::getenv("TERM");
  if (term == nullptr || std::strcmp(term, "dumb") == 0) return false;
  return is_terminal(stream);
}

const char* code_of(Color color) {
  switch (color) {
    case Color::kRed:
      return "\033[31m";
    case Color::kYellow:
      return "\033[33m";
    case Color::kCyan:
      return "\033[36m";
    case Color::kGreen:
      return "\033[32m";
    case Color::kBold:
      return "\033[1m";
    case Color::kDim:
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

Result<std::string> read_standard_input(std::size_t limit) {
  constexpr std::size_t kPiece = std::size_t{1} << 16;
  std::string text;
  for (;;) {
    const auto size = text.size();
    text.resize(size + kPiece);
    errno = 0;
    const auto got = std::fread(text.data() + size, 1, kPiece, stdin);
    text.resize(size + got);
    if (got == 0 && std::ferror(stdin) != 0) {
      return Error{.code = ErrorCode::kIo,
                   .message = "cannot read standard input: " + std::string(std::strerror(errno)),
                   .path = "-",
                   .system_errno = errno};
    }
    if (got == 0) return text;
    if (text.size() > limit) {
      return Error{.code = ErrorCode::kLimitExceeded,
                   .message = "standard input has more than " + std::to_string(limit) + " bytes",
                   .path = "-"};
    }
  }
}

bool is_terminal(Stream stream) { return ::isatty(::fileno(file_of(stream))) == 1; }

std::size_t terminal_columns(Stream stream) {
  winsize size{};
  if (::ioctl(::fileno(file_of(stream)), TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

std::string colored(Stream stream, Color color, std::string_view text) {
  if (!wants_color(stream)) return std::string(text);
  return code_of(color) + std::string(text) + "\033[0m";
}

void ignore_broken_pipes() { std::signal(SIGPIPE, SIG_IGN); }

}  // namespace ferrule::cli
