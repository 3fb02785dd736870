// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <mutex>
#include <utility>

namespace ferrule {

/// The last eight values that were kept, each forgotten when the ninth after it comes: for what is
/// costly to make and soon wanted again. Any number of threads can use it at once.
template <typename T>
class LastFew {
 public:
  /// The first result of `look(value)` that is not nullptr; nullptr if there is none. `look` runs
  /// under the lock, also on values that nothing was kept in yet.
  template <typename Look>
  auto find(Look look) -> decltype(look(std::declval<const T&>())) {
    const std::lock_guard lock(mutex_);
    for (const auto& known : kept_) {
      if (auto found = look(known)) return found;
    }
    return nullptr;
  }

  void keep(T value) {
    const std::lock_guard lock(mutex_);
    std::swap(kept_[oldest_], value);  // What is forgotten is destroyed by the caller, unlocked.
    oldest_ = (oldest_ + 1) % kept_.size();
  }

 private:
  std::mutex mutex_;
  std::array<T, 8> kept_;
  std::size_t oldest_ = 0;
};

/// The only one for T. It is never destroyed, because a program may still use it while it ends.
template <typename T>
LastFew<T>& last_few() {
  static auto* const only = new LastFew<T>;
  return *only;
}

}  // namespace ferrule
