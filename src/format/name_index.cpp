// SPDX-License-Identifier: Apache-2.0
#include "format/name_index.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

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

NameIndex::NameIndex(NameIndex&& other) noexcept
    : seed_(other.seed_),
      collision_budget_(other.collision_budget_),
      probes_(other.probes_),
      slots_(std::exchange(other.slots_, nullptr)),
      capacity_(std::exchange(other.capacity_, 0)),
      used_(std::exchange(other.used_, 0)),
      sorting_(std::exchange(other.sorting_, false)),
      sorted_(std::move(other.sorted_)) {
  other.sorted_.clear();
}

NameIndex& NameIndex::operator=(NameIndex&& other) noexcept {
  if (this == &other) return *this;
  std::free(slots_);
  seed_ = other.seed_;
  collision_budget_ = other.collision_budget_;
  probes_ = other.probes_;
  slots_ = std::exchange(other.slots_, nullptr);
  capacity_ = std::exchange(other.capacity_, 0);
  used_ = std::exchange(other.used_, 0);
  sorting_ = std::exchange(other.sorting_, false);
  sorted_ = std::move(other.sorted_);
  other.sorted_.clear();
  return *this;
}

NameIndex::~NameIndex() { std::free(slots_); }

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

void NameIndex::reserve(std::size_t names) {
  // At most four slots in five are used.
  const std::size_t wanted = std::bit_ceil(std::max<std::size_t>(names + names / 4, 16));
  if (wanted <= capacity_) return;
  auto* const slots = static_cast<std::uint64_t*>(std::calloc(wanted, sizeof(std::uint64_t)));
  if (slots == nullptr) throw std::bad_alloc();
  const auto shift = static_cast<unsigned>(32 - std::countr_zero(wanted));
  for (std::size_t i = 0; i < capacity_; ++i) {
    if (slots_[i] == 0) continue;
    std::size_t at = (slots_[i] >> 32) >> shift;
    while (slots[at] != 0) at = (at + 1) & (wanted - 1);
    slots[at] = slots_[i];
  }
  std::free(slots_);
  slots_ = slots;
  capacity_ = wanted;
}

void NameIndex::grow() { reserve(std::max<std::size_t>(capacity_, 16)); }

bool NameIndex::add_last(std::span<const NamedTensor> tensors) {
  if (sorting_) return true;
  if (used_ >= capacity_ - capacity_ / 5) grow();
  const std::size_t position = tensors.size() - 1;
  const std::string_view name = tensors[position].name;
  const std::uint32_t key = hash(name);
  const auto shift = static_cast<unsigned>(32 - std::countr_zero(capacity_));
  std::size_t at = key >> shift;
  std::uint64_t steps = 0;
  for (; slots_[at] != 0; at = (at + 1) & (capacity_ - 1)) {
    const std::uint64_t slot = slots_[at];
    ++steps;
    if (slot >> 32 == key && tensors[static_cast<std::uint32_t>(slot) - 1].name == name) {
      return false;
    }
    if (probes_ + steps > collision_budget_ * (used_ + 64)) {
      sorting_ = true;
      return true;
    }
  }
  probes_ += steps;
  slots_[at] = std::uint64_t{key} << 32 | (position + 1);
  ++used_;
  return true;
}

bool NameIndex::finish(std::span<const NamedTensor> tensors, std::size_t& duplicate) {
  if (!sorting_) return true;
  std::free(std::exchange(slots_, nullptr));
  capacity_ = 0;
  sorted_.resize(tensors.size());
  for (std::size_t i = 0; i < sorted_.size(); ++i) sorted_[i] = static_cast<std::uint32_t>(i);
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
  reserve(tensors.size());
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
  if (sorting_) {
    const auto found =
        std::lower_bound(sorted_.begin(), sorted_.end(), name,
                         [&](std::uint32_t i, std::string_view n) { return tensors[i].name < n; });
    if (found == sorted_.end() || tensors[*found].name != name) return std::nullopt;
    return *found;
  }
  if (used_ == 0) return std::nullopt;
  const std::uint32_t key = hash(name);
  const auto shift = static_cast<unsigned>(32 - std::countr_zero(capacity_));
  for (std::size_t at = key >> shift; slots_[at] != 0; at = (at + 1) & (capacity_ - 1)) {
    const std::uint64_t slot = slots_[at];
    const std::size_t position = static_cast<std::uint32_t>(slot) - 1;
    if (slot >> 32 == key && tensors[position].name == name) return position;
  }
  return std::nullopt;
}

}  // namespace ferrule::format
