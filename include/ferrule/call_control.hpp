// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

#include "ferrule/export.hpp"

namespace ferrule {

/// For programs that show the progress of a long call, or let a user end it. save_control.hpp does
/// the same for all calls of a process.
///
///   ferrule::CallControl control;             // shared with the thread of the window
///   std::thread worker([&] {
///     const ferrule::CallControl::Scope scope(control);
///     ferrule::convert(adapter, output);      // fails with kIo and EINTR after control.cancel()
///   });
///
/// All members may be called from any number of threads.
class FERRULE_API CallControl {
 public:
  CallControl() = default;
  CallControl(const CallControl&) = delete;
  CallControl& operator=(const CallControl&) = delete;

  /// Makes saves in the scope fail at their next write or wait: they remove what they prepared and
  /// leave the old files. Calls that only read go on.
  void cancel() noexcept { canceled_.store(true); }
  bool is_canceled() const noexcept { return canceled_.load(std::memory_order_relaxed); }

  /// Bytes that saves in the scope have written so far.
  std::uint64_t bytes_staged() const noexcept { return staged_.load(std::memory_order_relaxed); }
  /// Parts of the work (tensors, modules ...) that are done, and how many are known so far.
  std::uint64_t steps_done() const noexcept { return done_.load(std::memory_order_relaxed); }
  std::uint64_t steps_known() const noexcept { return known_.load(std::memory_order_relaxed); }

  /// While it lives, calls of this thread, and the threads that they start, belong to the control.
  /// It must outlive them.
  class FERRULE_API Scope {
   public:
    explicit Scope(CallControl* control) noexcept;
    explicit Scope(CallControl& control) noexcept : Scope(&control) {}
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope();

   private:
    CallControl* before_;
  };

 private:
  friend struct CallControlAccess;

  std::atomic<bool> canceled_{false};
  std::atomic<std::uint64_t> staged_{0};
  std::atomic<std::uint64_t> done_{0};
  std::atomic<std::uint64_t> known_{0};
};

}  // namespace ferrule
