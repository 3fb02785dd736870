// SPDX-License-Identifier: Apache-2.0
#include "format/name_index.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

namespace ferrule::format {
namespace {

std::uint64_t load8(const char* p) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, p, sizeof word);
  return word;
}

std::uint64_t load4(const char* p) noexcept {
  std::uint32_t word = 0;
  std::memcpy(&word, p, sizeof word);
  return word;
}

/// The two halves of a 128-bit product folded together: one multiplication mixes 16 bytes.
std::uint64_t fold(std::uint64_t a, std::uint64_t b) noexcept {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

// Odd constants with half of their bits set (the fractions of sqrt(2), sqrt(3) and sqrt(5)).
constexpr std::uint64_t kFirst = 0x6a09e667f3bcc909;
constexpr std::uint64_t kSecond = 0xbb67ae8584caa73b;
constexpr std::uint64_t kThird = 0x3c6ef372fe94f82b;

std::uint64_t process_seed() noexcept {
  // Where the system loads us is the randomness that costs no system call.
  static const char anchor = 0;
  static const std::uint64_t seed =
      fold(static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(&anchor)) ^ kFirst, kSecond);
  return seed;
}

}  // namespace

NameIndex::NameIndex(std::uint64_t collision_budget) noexcept
    : seed_(process_seed()), collision_budget_(collision_budget) {}

std::uint32_t NameIndex::hash(std::string_view name) const noexcept {
  const char* p = name.data();
  std::size_t left = name.size();
  std::uint64_t state = seed_ ^ left;
  if (left > 16) {
    std::uint64_t other = seed_ ^ kThird;
    for (; left > 32; left -= 32, p += 32) {
      state = fold(load8(p) ^ kFirst, load8(p + 8) ^ state);
      other = fold(load8(p + 16) ^ kSecond, load8(p + 24) ^ other);
    }
    state ^= other;
    if (left > 16) {
      state = fold(load8(p) ^ kFirst, load8(p + 8) ^ state);
      p += 16, left -= 16;
    }
    // The last 16 bytes, some of them for the second time: no branch on the length.
    state = fold(load8(p + left - 16) ^ kSecond, load8(p + left - 8) ^ state);
  } else if (left >= 8) {
    state = fold(load8(p) ^ kFirst, load8(p + left - 8) ^ state);
  } else if (left >= 4) {
    state = fold(load4(p) ^ kFirst, load4(p + left - 4) ^ state);
  } else if (left > 0) {
    const auto byte = [p](std::size_t i) {
      return std::uint64_t{static_cast<unsigned char>(p[i])};
    };
    state = fold((byte(0) << 16 | byte(left / 2) << 8 | byte(left - 1)) ^ kFirst, kSecond ^ state);
  }
  return static_cast<std::uint32_t>(fold(state ^ kThird, seed_ ^ kSecond) >> 32);
}

std::size_t NameIndex::home(std::uint32_t key) const noexcept {
  return key >> (32 - std::countr_zero(slots_.size()));
}

/// Makes room for that many names: at most four slots in five are used.
void NameIndex::grow(std::size_t names) {
  std::vector<std::uint64_t> old(std::bit_ceil(std::max<std::size_t>(names + names / 4, 16)));
  old.swap(slots_);
  for (const auto slot : old) {
    if (slot == 0) continue;
    std::size_t at = home(static_cast<std::uint32_t>(slot >> 32));
    while (slots_[at] != 0) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = slot;
  }
}

bool NameIndex::insert(std::span<const NamedTensor> tensors, std::size_t position) {
  if (used_ >= slots_.size() - slots_.size() / 5) grow(slots_.size());
  const std::string_view name = tensors[position].name;
  const std::uint32_t key = hash(name);
  std::uint64_t steps = 0;
  std::size_t at = home(key);
  for (; slots_[at] != 0; at = (at + 1) & (slots_.size() - 1), ++steps) {
    const std::uint64_t slot = slots_[at];
    if (slot >> 32 == key && tensors[static_cast<std::uint32_t>(slot) - 1].name == name) {
      return false;
    }
    if (probes_ + steps >= collision_budget_ * (used_ + 64)) {
      order_ = Order::kSorted;
      slots_ = {};
      return true;
    }
  }
  probes_ += steps;
  slots_[at] = std::uint64_t{key} << 32 | (position + 1);
  ++used_;
  return true;
}

bool NameIndex::start_hashing(std::span<const NamedTensor> tensors) {
  order_ = Order::kHashed;
  grow(std::max(expected_, tensors.size()));
  for (std::size_t i = 0; i < tensors.size() && order_ == Order::kHashed; ++i) {
    if (!insert(tensors, i)) return false;
  }
  return true;
}

bool NameIndex::add_last(std::span<const NamedTensor> tensors) {
  const std::size_t position = tensors.size() - 1;
  switch (order_) {
    case Order::kAscending:
      if (position == 0 || tensors[position - 1].name < tensors[position].name) return true;
      return start_hashing(tensors);
    case Order::kHashed:
      return insert(tensors, position);
    case Order::kSorted:
      return true;
  }
  return true;
}

bool NameIndex::finish(std::span<const NamedTensor> tensors, std::size_t& duplicate) {
  if (order_ != Order::kSorted) return true;
  sorted_.resize(tensors.size());
  std::iota(sorted_.begin(), sorted_.end(), std::uint32_t{0});
  std::sort(sorted_.begin(), sorted_.end(), [&](std::uint32_t a, std::uint32_t b) {
    const int order = tensors[a].name.compare(tensors[b].name);
    return order != 0 ? order < 0 : a < b;
  });
  const auto twice = std::adjacent_find(
      sorted_.begin(), sorted_.end(),
      [&](std::uint32_t a, std::uint32_t b) { return tensors[a].name == tensors[b].name; });
  if (twice == sorted_.end()) return true;
  duplicate = *(twice + 1);
  return false;
}

bool NameIndex::build(std::span<const NamedTensor> tensors, std::size_t& duplicate) {
  expect(tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (!add_last(tensors.first(i + 1))) {
      duplicate = i;
      return false;
    }
  }
  return finish(tensors, duplicate);
}

std::optional<std::size_t> NameIndex::find(std::span<const NamedTensor> tensors,
                                           std::string_view name) const noexcept {
  if (order_ == Order::kHashed) {
    const std::uint32_t key = hash(name);
    for (std::size_t at = home(key); slots_[at] != 0; at = (at + 1) & (slots_.size() - 1)) {
      const std::uint64_t slot = slots_[at];
      const std::size_t position = static_cast<std::uint32_t>(slot) - 1;
      if (slot >> 32 == key && tensors[position].name == name) return position;
    }
    return std::nullopt;
  }
  if (order_ == Order::kAscending) {
    const auto found = std::lower_bound(
        tensors.begin(), tensors.end(), name,
        [](const NamedTensor& tensor, std::string_view n) { return tensor.name < n; });
    if (found == tensors.end() || found->name != name) return std::nullopt;
    return static_cast<std::size_t>(found - tensors.begin());
  }
  const auto found =
      std::lower_bound(sorted_.begin(), sorted_.end(), name,
                       [&](std::uint32_t i, std::string_view n) { return tensors[i].name < n; });
  if (found == sorted_.end() || tensors[*found].name != name) return std::nullopt;
  return *found;
}

}  // namespace ferrule::format
