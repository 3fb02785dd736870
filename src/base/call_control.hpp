// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "ferrule/call_control.hpp"

namespace ferrule {

/// What the library tells the control of a call.
struct CallControlAccess {
  static void add_staged(CallControl& control, std::uint64_t bytes) noexcept {
    control.staged_.fetch_add(bytes, std::memory_order_relaxed);
  }
  static void add_known(CallControl& control, std::uint64_t steps) noexcept {
    control.known_.fetch_add(steps, std::memory_order_relaxed);
  }
  static void add_done(CallControl& control) noexcept {
    control.done_.fetch_add(1, std::memory_order_relaxed);
  }
};

namespace base {

/// The control that this thread's calls belong to, or null.
CallControl* call_control() noexcept;

}  // namespace base
}  // namespace ferrule
