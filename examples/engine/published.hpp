// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>

namespace engine {

/// A value that any number of readers use while one writer replaces it. Reading is two stores and a
/// load: no lock, no reference count, no waiting. The writer waits until no reader can see the old
/// value before it destroys it.
template <typename T>
class Published {
 public:
  static constexpr std::size_t kMaxReaders = 64;

  explicit Published(std::unique_ptr<const T> first) : value_(first.release()) {}
  Published(const Published&) = delete;
  Published& operator=(const Published&) = delete;
  ~Published() { delete value_.load(); }

  /// A thread's place among the readers, for the life of the thread.
  class Reader {
   public:
    Reader(Reader&& other) noexcept : slot_(std::exchange(other.slot_, nullptr)), of_(other.of_) {}
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
    ~Reader() {
      if (slot_ != nullptr) slot_->taken.store(false);
    }

    /// Calls `use` with the value of this moment, which stays alive and unchanged until it returns.
    template <typename Use>
    auto read(Use&& use) const {
      // Sequential consistency: the writer that does not see this store is seen by the load below.
      slot_->epoch.store(of_->epoch_.load());
      const Leave leave{slot_};
      return use(*of_->value_.load());
    }

   private:
    friend class Published;
    struct Slot {
      std::atomic<bool> taken = false;
      /// The epoch in which the reader began, or 0.
      std::atomic<std::uint64_t> epoch = 0;
    };
    struct Leave {
      Slot* slot;
      ~Leave() { slot->epoch.store(0, std::memory_order_release); }
    };
    Reader(Slot* slot, Published* of) : slot_(slot), of_(of) {}

    Slot* slot_;
    Published* of_;
  };

  /// nullptr if there are kMaxReaders already.
  std::unique_ptr<Reader> reader() {
    for (auto& slot : slots_) {
      if (!slot.taken.exchange(true)) return std::unique_ptr<Reader>(new Reader(&slot, this));
    }
    return nullptr;
  }

  /// Of the one writer. Returns when the old value is gone.
  void publish(std::unique_ptr<const T> next) {
    const std::unique_ptr<const T> old(value_.exchange(next.release()));
    const auto now = ++epoch_;
    for (auto& slot : slots_) {
      for (auto began = slot.epoch.load(); began != 0 && began < now; began = slot.epoch.load()) {
        std::this_thread::yield();
      }
    }
  }

  /// What is published now. Of the one writer.
  const T& current() const { return *value_.load(); }

 private:
  std::atomic<const T*> value_;
  std::atomic<std::uint64_t> epoch_ = 1;
  std::array<typename Reader::Slot, kMaxReaders> slots_;
};

}  // namespace engine
