// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <thread>
#include <utility>

#include "errors.hpp"
#include "ferrule/call_control.hpp"

namespace ferrule::python {

/// How often the caller's thread looks for signals, and tells progress.
inline constexpr std::chrono::milliseconds kLook{50};

/// Whether the call may go on; false with an exception of Python set. `tick` is None or a callable
/// that gets the bytes written, the steps done and the steps known so far.
inline bool may_go_on(const CallControl& control, nanobind::handle tick) {
  if (PyErr_CheckSignals() != 0) return false;
  if (tick.is_none()) return true;
  try {
    tick(control.bytes_staged(), control.steps_done(), control.steps_known());
  } catch (nanobind::python_error& error) {
    error.restore();
    return false;
  }
  return true;
}

/// Runs `work` in its own thread, without the GIL, while this thread looks for signals and tells
/// `tick`, and returns its result. If a signal handler (KeyboardInterrupt) or `tick` raises, that
/// exception is raised at once; the work is then abandoned: it ends in the background and its
/// result is dropped. So it must own what it uses, must not use anything of Python, and what it
/// writes besides (a memo) must be a save: that one is canceled.
template <typename Work>
auto long_read(Work work, nanobind::handle tick = nanobind::none()) {
  const auto control = std::make_shared<CallControl>();
  std::packaged_task task(std::function([control, work = std::move(work)] {
    const CallControl::Scope scope(*control);
    return work();
  }));
  auto done = task.get_future();
  std::thread thread(std::move(task));
  while (without_gil([&] { return done.wait_for(kLook); }) != std::future_status::ready) {
    if (may_go_on(*control, tick)) continue;
    control->cancel();
    thread.detach();
    throw nanobind::python_error();
  }
  without_gil([&] { thread.join(); });
  if (!may_go_on(*control, tick)) throw nanobind::python_error();
  return done.get();
}

/// The same for `work` that writes: it is canceled and waited for, so that it leaves nothing behind
/// and may refer to the caller's variables.
template <typename Work>
auto long_write(Work work, nanobind::handle tick = nanobind::none()) {
  CallControl control;
  auto done = std::async(std::launch::async, [&] {
    const CallControl::Scope scope(control);
    return work();
  });
  while (without_gil([&] { return done.wait_for(kLook); }) != std::future_status::ready) {
    if (may_go_on(control, tick)) continue;
    nanobind::python_error interruption;
    control.cancel();
    without_gil([&] { done.wait(); });
    throw interruption;
  }
  if (!may_go_on(control, tick)) throw nanobind::python_error();
  return done.get();
}

}  // namespace ferrule::python
