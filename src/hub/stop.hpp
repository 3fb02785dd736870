// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

namespace ferrule::hub {

/// A wish to end what several threads do together. Each of them asks now and then; a stop below
/// another one follows it.
class Stop {
 public:
  explicit Stop(const Stop* above = nullptr) noexcept : above_(above) {}

  void request() noexcept { requested_ = true; }
  bool requested() const noexcept {
    return requested_ || (above_ != nullptr && above_->requested());
  }

  /// Sleeps that long, or until it is requested.
  void sleep(std::chrono::milliseconds pause) const {
    using Clock = std::chrono::steady_clock;
    constexpr std::chrono::milliseconds kLook{50};
    const auto end = Clock::now() + pause;
    while (!requested()) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
      if (left.count() <= 0) return;
      std::this_thread::sleep_for(std::min(kLook, left));
    }
  }

 private:
  const Stop* above_;
  std::atomic<bool> requested_{false};
};

}  // namespace ferrule::hub
