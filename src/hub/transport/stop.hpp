// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>

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

 private:
  const Stop* above_;
  std::atomic<bool> requested_{false};
};

}  // namespace ferrule::hub
