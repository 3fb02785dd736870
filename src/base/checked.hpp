// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

namespace ferrule::base {

/// The only arithmetic on numbers that come from files: nullopt if the result leaves 64 bits.
constexpr std::optional<std::uint64_t> checked_add(std::uint64_t a, std::uint64_t b) noexcept {
  std::uint64_t result = 0;
  if (__builtin_add_overflow(a, b, &result)) return std::nullopt;
  return result;
}

constexpr std::optional<std::uint64_t> checked_mul(std::uint64_t a, std::uint64_t b) noexcept {
  std::uint64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result)) return std::nullopt;
  return result;
}

/// For sums and products of many numbers: `value += more` and `value *= more`, false if that leaves
/// 64 bits. Goes on with the bits that are left, so that [2^60, 2^60, 0] is refused, and [2^60, 0]
/// is not: callers collect the answers and look at them at the end.
constexpr bool add_to(std::uint64_t& value, std::uint64_t more) noexcept {
  return !__builtin_add_overflow(value, more, &value);
}

constexpr bool multiply_by(std::uint64_t& value, std::uint64_t factor) noexcept {
  return !__builtin_mul_overflow(value, factor, &value);
}

}  // namespace ferrule::base
