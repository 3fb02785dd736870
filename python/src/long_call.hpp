// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

#include <chrono>
#include <functional>
#include <future>
#include <thread>
#include <utility>

#include "errors.hpp"

namespace ferrule::python {

/// Runs `work` in its own thread, without the GIL, while this thread looks for signals, and returns
/// its result. If a signal handler raises (KeyboardInterrupt), that exception is raised at once;
/// the work is then abandoned: it ends in the background and its result is dropped. So it must own
/// what it uses, must not use anything of Python, and must not write.
template <typename Work>
auto long_read(Work work) {
  constexpr std::chrono::milliseconds kLook{50};
  std::packaged_task task(std::function(std::move(work)));
  auto done = task.get_future();
  std::thread thread(std::move(task));
  while (without_gil([&] { return done.wait_for(kLook); }) != std::future_status::ready) {
    if (PyErr_CheckSignals() == 0) continue;
    thread.detach();
    throw nanobind::python_error();
  }
  without_gil([&] { thread.join(); });
  return done.get();
}

/// The same for `work` that writes: it is waited for, so it may refer to the caller's variables.
template <typename Work>
auto long_write(Work work) {
  constexpr std::chrono::milliseconds kLook{50};
  auto done = std::async(std::launch::async, std::move(work));
  while (without_gil([&] { return done.wait_for(kLook); }) != std::future_status::ready) {
    if (PyErr_CheckSignals() == 0) continue;
    nanobind::python_error interruption;
    without_gil([&] { done.wait(); });
    throw interruption;
  }
  return done.get();
}

}  // namespace ferrule::python
