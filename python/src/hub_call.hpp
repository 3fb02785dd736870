// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

#include <atomic>
#include <chrono>
#include <future>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "errors.hpp"
#include "ferrule/hub.hpp"

namespace ferrule::python {

/// A call of ferrule::hub. It runs in its own thread, without the GIL, while the caller's thread
/// looks for signals: an exception of a handler (KeyboardInterrupt) or of `progress` ends the call
/// and is raised after that. Warnings become warnings of Python at the end.
class HubCall {
 public:
  /// `progress`: None, or a callable that gets a Progress from time to time.
  explicit HubCall(nanobind::handle progress);
  HubCall(const HubCall&) = delete;
  HubCall& operator=(const HubCall&) = delete;

  hub::Watcher watcher();

  /// The value of the Result that `work` returns, or its error raised.
  template <typename Work>
  auto run(Work&& work) {
    auto done = std::async(std::launch::async, std::forward<Work>(work));
    while (without_gil([&] { return done.wait_for(kLook); }) != std::future_status::ready) {
      if (look()) continue;
      cancelled_ = true;
      without_gil([&] { done.wait(); });
      throw nanobind::python_error();
    }
    auto value = value_or_raise(done.get());
    finish();
    return value;
  }

 private:
  static constexpr std::chrono::milliseconds kLook{100};

  /// False with an exception of Python's set.
  bool look();
  bool tell_progress();
  void finish();

  nanobind::object progress_;
  std::atomic<bool> cancelled_ = false;
  std::mutex mutex_;
  std::optional<hub::Progress> latest_;
  std::vector<std::string> warnings_;
};

}  // namespace ferrule::python
