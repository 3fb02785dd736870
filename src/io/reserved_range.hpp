// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "ferrule/result.hpp"

namespace ferrule::io {

/// Addresses without memory behind them: stand-ins for tensors whose bytes are read later. Reading
/// them gives zeros. Movable; the addresses do not move with it.
class ReservedRange {
 public:
  ReservedRange() noexcept = default;
  /// Fails with kLimitExceeded if the system does not have so many addresses.
  static Result<ReservedRange> of(std::uint64_t bytes);

  ReservedRange(ReservedRange&& other) noexcept;
  ReservedRange& operator=(ReservedRange&& other) noexcept;
  ~ReservedRange();

  std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace ferrule::io
