// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace ferrule::cli {

/// One line on standard error that is written over and over while work goes on. Shows nothing if
/// standard error is not a terminal, nothing for work that is done within a second, and at most ten
/// lines a second.
class ProgressLine {
 public:
  ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine() { clear(); }
  void show(std::string_view text);
  void clear();

 private:
  bool enabled_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point next_;
};

/// Shows that work goes on that reports no progress of its own: the time it took so far and the
/// bytes that it has written. Starts a thread only if standard error is a terminal.
class Working {
 public:
  explicit Working(std::string what);
  Working(const Working&) = delete;
  Working& operator=(const Working&) = delete;
  ~Working() { stop(); }
  /// Removes the line. Before anything else is printed.
  void stop();

 private:
  void tick();

  std::string what_;
  ProgressLine line_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace ferrule::cli
