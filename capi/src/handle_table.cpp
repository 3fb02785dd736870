// SPDX-License-Identifier: Apache-2.0
#include "handle_table.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <mutex>
#include <vector>

namespace ferrule::capi {
namespace {

// An id: 4 bits kind, 36 bits generation, 24 bits place.
constexpr int kPlaceBits = 24;
constexpr int kGenerationBits = 36;
constexpr std::uint64_t kMaxGeneration = (std::uint64_t{1} << kGenerationBits) - 1;
constexpr std::size_t kSlotsPerChunk = 1024;
constexpr std::size_t kMaxChunks = (std::size_t{1} << kPlaceBits) / kSlotsPerChunk;

struct Slot {
  /// The id of the handle that is open here, or 0.
  std::atomic<std::uint64_t> id = 0;
  std::atomic<Object*> object = nullptr;
  /// Of the next handle. Guarded by Table::mutex.
  std::uint64_t generation = 1;
};

struct Table {
  std::mutex mutex;
  /// Places whose handle was closed. Guarded by `mutex`.
  std::vector<std::size_t> free;
  /// Places that were used at least once. Guarded by `mutex`.
  std::size_t used = 0;
  /// Never freed, so that a stale id can be looked up at any time.
  std::array<std::atomic<Slot*>, kMaxChunks> chunks = {};

  Slot* slot_at(std::size_t place) noexcept {
    Slot* chunk = chunks[place / kSlotsPerChunk].load(std::memory_order_acquire);
    return chunk == nullptr ? nullptr : chunk + place % kSlotsPerChunk;
  }
};

/// Never destroyed: a program may close handles while it ends.
Table& table() {
  static Table* const only = new Table;
  return *only;
}

std::uint64_t id_of(Kind kind, std::uint64_t generation, std::size_t place) noexcept {
  return static_cast<std::uint64_t>(kind) << (kGenerationBits + kPlaceBits) |
         generation << kPlaceBits | place;
}

/// The slot where that handle is open, or nullptr.
Slot* slot_of(Kind kind, std::uint64_t id) noexcept {
  if (id >> (kGenerationBits + kPlaceBits) != static_cast<std::uint64_t>(kind)) return nullptr;
  Slot* slot = table().slot_at(static_cast<std::size_t>(id & ((1U << kPlaceBits) - 1)));
  if (slot == nullptr || slot->id.load(std::memory_order_acquire) != id) return nullptr;
  return slot;
}

}  // namespace

std::uint64_t add_handle(Kind kind, std::unique_ptr<Object> object) {
  Table& all = table();
  const std::lock_guard lock(all.mutex);
  std::size_t place = all.used;
  if (!all.free.empty()) {
    place = all.free.back();
  } else {
    if (place == kMaxChunks * kSlotsPerChunk) return 0;
    if (place % kSlotsPerChunk == 0) {
      all.free.reserve(place + kSlotsPerChunk);  // So that closing never needs memory.
      all.chunks[place / kSlotsPerChunk].store(new Slot[kSlotsPerChunk], std::memory_order_release);
    }
  }
  Slot* slot = all.slot_at(place);
  if (all.free.empty()) {
    ++all.used;
  } else {
    all.free.pop_back();
  }
  const auto id = id_of(kind, slot->generation, place);
  slot->object.store(object.release(), std::memory_order_relaxed);
  slot->id.store(id, std::memory_order_release);
  return id;
}

Object* find_handle(Kind kind, std::uint64_t id) noexcept {
  Slot* slot = slot_of(kind, id);
  return slot == nullptr ? nullptr : slot->object.load(std::memory_order_relaxed);
}

std::unique_ptr<Object> remove_handle(Kind kind, std::uint64_t id) noexcept {
  Slot* slot = slot_of(kind, id);
  if (slot == nullptr) return nullptr;
  Table& all = table();
  const std::lock_guard lock(all.mutex);
  auto expected = id;
  if (!slot->id.compare_exchange_strong(expected, 0)) return nullptr;  // Another thread was first.
  std::unique_ptr<Object> object(slot->object.exchange(nullptr));
  if (slot->generation < kMaxGeneration) {
    ++slot->generation;
    all.free.push_back(static_cast<std::size_t>(id & ((1U << kPlaceBits) - 1)));
  }
  return object;
}

}  // namespace ferrule::capi
