// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace ferrule::io {

/// Memory for many floats, which are all zero at first. Its pages come from the system when they
/// are touched, large ones if it has them, so that filling it can be divided among threads.
/// Movable; the floats do not move with it.
class ZeroedFloats {
 public:
  ZeroedFloats() noexcept = default;
  /// Throws std::bad_alloc, as containers do.
  explicit ZeroedFloats(std::size_t count);
  ZeroedFloats(ZeroedFloats&& other) noexcept;
  ZeroedFloats& operator=(ZeroedFloats&& other) noexcept;
  ~ZeroedFloats();

  float* data() noexcept { return data_; }
  const float* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }

 private:
  float* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace ferrule::io
