// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "io/file_identity.hpp"

namespace ferrule::io {

/// Directories by device and inode. One table without nodes, because a walk adds every directory
/// while other threads wait for it.
class DirectorySet {
 public:
  /// False if it was there.
  bool insert(const FileIdentity& directory) {
    if (2 * (size_ + 1) > slots_.size()) grow();
    if (!put({directory.device, directory.inode})) return false;
    ++size_;
    return true;
  }

 private:
  using Place = std::pair<std::uint64_t, std::uint64_t>;
  struct Slot {
    Place place;
    bool used = false;
  };

  bool put(const Place& place) {
    const auto mask = slots_.size() - 1;
    auto at = hash(place) & mask;
    for (; slots_[at].used; at = (at + 1) & mask) {
      if (slots_[at].place == place) return false;
    }
    slots_[at] = {place, true};
    return true;
  }

  void grow() {
    constexpr std::size_t kFirst = 64;
    const auto before =
        std::exchange(slots_, std::vector<Slot>(std::max(kFirst, 4 * slots_.size())));
    for (const auto& slot : before) {
      if (slot.used) put(slot.place);
    }
  }

  /// Neighboring inodes must not be neighboring slots: the upper half of the product is mixed.
  static std::size_t hash(const Place& place) noexcept {
    const auto product = (place.second + place.first) * 0x9E3779B97F4A7C15U;
    return static_cast<std::size_t>(product >> 32U);
  }

  std::vector<Slot> slots_;  // As many as a power of two.
  std::size_t size_ = 0;
};

}  // namespace ferrule::io
