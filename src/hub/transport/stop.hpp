// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>

namespace ferrule::hub {

/// A request to end work that several threads share. Each of them checks it often. A Stop with
/// another one above it is also requested when that one is.
class Stop {
 public:
  explicit Stop(const Stop* above = nullptr) noexcept : above_(above) {}

  void request() noexcept { requested_ = true; }
  bool requested() const noexcept {
    return requested_ || (above_ != nullptr && above_->requested());
  }

 private:
  const Stop* above_;
  std::atomic<bool> requested_{false};
};

}  // namespace ferrule::hub
