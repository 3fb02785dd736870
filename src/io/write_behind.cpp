// SPDX-License-Identifier: Apache-2.0
#include "io/write_behind.hpp"

#include <algorithm>
#include <cstring>
#include <system_error>
#include <utility>

#include "base/try.hpp"

namespace ferrule::io {

WriteBehind::~WriteBehind() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

Result<std::span<std::byte>> WriteBehind::space(std::size_t bytes) {
  if (used_[current_] + bytes > kBufferBytes) FERRULE_CHECK(hand_over());
  auto& buffer = buffers_[current_];
  // Small files take little memory.
  if (buffer.size() < used_[current_] + bytes) {
    buffer.resize(buffer.empty() ? bytes : kBufferBytes);
  }
  open_ = bytes;
  return std::span(buffer).subspan(used_[current_], bytes);
}

void WriteBehind::filled() noexcept { used_[current_] += std::exchange(open_, 0); }

Result<void> WriteBehind::append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto piece = bytes.first(std::min(bytes.size(), kMaxPiece));
    FERRULE_TRY(const auto room, space(piece.size()));
    std::memcpy(room.data(), piece.data(), piece.size());
    filled();
    bytes = bytes.subspan(piece.size());
  }
  return {};
}

Result<void> WriteBehind::finish() {
  FERRULE_CHECK(wait());
  return write_buffer(current_);
}

Result<void> WriteBehind::hand_over() {
  FERRULE_CHECK(wait());
  if (!thread_.joinable() && !without_thread_) {
    try {
      thread_ = std::thread([this] { run(); });
    } catch (const std::system_error&) {
      without_thread_ = true;  // The system has no more to give.
    }
  }
  if (without_thread_) return write_buffer(current_);
  {
    const std::lock_guard lock(mutex_);
    pending_ = current_;
  }
  changed_.notify_all();
  current_ = 1 - current_;
  return {};
}

Result<void> WriteBehind::write_buffer(std::size_t which) {
  const std::span<const std::byte> bytes(buffers_[which].data(), used_[which]);
  used_[which] = 0;
  if (bytes.empty()) return {};
  return out_.write(bytes);
}

Result<void> WriteBehind::wait() {
  if (!thread_.joinable()) return {};
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !pending_; });
  if (exception_) std::rethrow_exception(exception_);
  if (error_) return *error_;
  return {};
}

void WriteBehind::run() noexcept {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return pending_ || stop_; });
    if (stop_) return;
    const auto which = *pending_;
    lock.unlock();
    Result<void> wrote;
    std::exception_ptr thrown;
    try {
      wrote = write_buffer(which);
    } catch (...) {
      thrown = std::current_exception();
    }
    lock.lock();
    if (!wrote) error_ = std::move(wrote).error();
    exception_ = thrown;
    pending_.reset();
    changed_.notify_all();
  }
}

}  // namespace ferrule::io
