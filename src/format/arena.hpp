// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

namespace ferrule::format {

/// Storage for many small runs of trivial values: allocates in blocks, frees all at once, and never
/// moves what it handed out. Movable; the runs stay where they are.
template <typename T>
class Arena {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  /// Announces how many values are coming: the next block holds that many.
  void expect(std::size_t values) noexcept { next_block_ = std::max(next_block_, values); }

  std::span<const T> copy(std::span<const T> run) {
    if (run.empty()) return {};
    if (run.size() > room_) grow(run.size());
    T* const start = free_;
    std::memcpy(start, run.data(), run.size_bytes());
    free_ += run.size();
    room_ -= run.size();
    return {start, run.size()};
  }

 private:
  void grow(std::size_t at_least) {
    const std::size_t values = std::max(at_least, next_block_);
    blocks_.push_back(std::unique_ptr<T[]>(new T[values]));  // Uninitialized on purpose.
    free_ = blocks_.back().get();
    room_ = values;
    next_block_ = std::min<std::size_t>(values * 2, kMaxBlock);
  }

  static constexpr std::size_t kMaxBlock = std::size_t{1} << 20;

  std::vector<std::unique_ptr<T[]>> blocks_;
  T* free_ = nullptr;
  std::size_t room_ = 0;
  std::size_t next_block_ = 64;
};

}  // namespace ferrule::format
