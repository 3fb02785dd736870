// SPDX-License-Identifier: Apache-2.0
#include "print/progress.hpp"

#include <string>

#include "print/text.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

constexpr std::chrono::milliseconds kDelay{1000};
constexpr std::chrono::milliseconds kRedraw{100};

}  // namespace

ProgressLine::ProgressLine()
    : enabled_(is_terminal(Stream::kErr)), next_(std::chrono::steady_clock::now() + kDelay) {}

void ProgressLine::show(std::string_view text) {
  if (!enabled_) return;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  next_ = now + kRedraw;
  // A line that wraps could not be written over.
  const auto columns = terminal_columns(Stream::kErr);
  print(Stream::kErr, "\r\033[K" + (columns > 8 ? fit(text, columns - 1) : std::string(text)));
  shown_ = true;
}

void ProgressLine::clear() {
  if (!shown_) return;
  print(Stream::kErr, "\r\033[K");
  shown_ = false;
}

}  // namespace ferrule::cli
