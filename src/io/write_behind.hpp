// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "ferrule/result.hpp"
#include "io/directory_transaction.hpp"

namespace ferrule::io {

/// Writes one buffer in a thread of its own while the caller fills the next: half of a copy is the
/// kernel's work on the output, the other half reading and checking the input. What fits in one
/// buffer is written without a thread. The output is nobody else's until finish().
///
///   FERRULE_TRY(const auto space, behind.space(wanted));
///   ... fill space ...
///   behind.filled();
///   FERRULE_CHECK(behind.finish());
class WriteBehind {
 public:
  /// The most that space() gives.
  static constexpr std::size_t kMaxPiece = std::size_t{256} << 10;

  /// `out` must outlive it.
  explicit WriteBehind(OutputFile& out) noexcept : out_(out) {}
  WriteBehind(const WriteBehind&) = delete;
  WriteBehind& operator=(const WriteBehind&) = delete;
  /// What finish() has not been called for may or may not have been written.
  ~WriteBehind();

  /// Room for the next `bytes` (at most kMaxPiece); valid until the next call. Fails with what the
  /// output said to an earlier piece.
  Result<std::span<std::byte>> space(std::size_t bytes);
  /// The whole of the last space() belongs to the file from here on.
  void filled() noexcept;
  /// space(), a copy, filled(); of any length.
  Result<void> append(std::span<const std::byte> bytes);
  /// Returns when everything is written. More may follow.
  Result<void> finish();

 private:
  static constexpr std::size_t kBufferBytes = std::size_t{2} << 20;

  /// Gives the filled buffer to the thread, and takes the other one once it is free.
  Result<void> hand_over();
  Result<void> write_buffer(std::size_t which);
  /// Waits until the thread has nothing to write.
  Result<void> wait();
  void run() noexcept;

  OutputFile& out_;
  std::array<std::vector<std::byte>, 2> buffers_;
  std::array<std::size_t, 2> used_{};
  std::size_t current_ = 0;
  std::size_t open_ = 0;  // Bytes of the last space().
  bool without_thread_ = false;

  std::thread thread_;
  // Below: shared with the thread.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<std::size_t> pending_;  // The buffer that the thread is to write or is writing.
  std::optional<Error> error_;
  std::exception_ptr exception_;
  bool stop_ = false;
};

}  // namespace ferrule::io
