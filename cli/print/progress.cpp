// SPDX-License-Identifier: Apache-2.0
#include "print/progress.hpp"

#include <string>
#include <system_error>
#include <utility>

#include "ferrule/save_control.hpp"
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

Working::Working(std::string what) : what_(std::move(what)) {
  if (!is_terminal(Stream::kErr)) return;
  try {
    thread_ = std::thread([this] { tick(); });
  } catch (const std::system_error&) {
    // The work is done without a display.
  }
}

void Working::tick() {
  const auto start = std::chrono::steady_clock::now();
  const auto written_before = bytes_staged();
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, kDelay / 2, [&] { return stopped_; })) {
    const auto seconds =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - start);
    auto text = what_ + ", " + std::to_string(seconds.count()) + " s";
    const auto written = bytes_staged() - written_before;
    if (written > 0) text += ", " + human_bytes(written) + " written";
    line_.show(text);
  }
}

void Working::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  line_.clear();
}

}  // namespace ferrule::cli
