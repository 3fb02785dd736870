// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "ferrule/export.hpp"

namespace ferrule {

/// Every element type of safetensors 0.8. The order is that crate's own ranking, ascending: a
/// safetensors file lists its tensors by descending rank, so the order here decides bytes on disk.
enum class Dtype : std::uint8_t {
  kBool,
  kF4,
  kF6E2M3,
  kF6E3M2,
  kU8,
  kI8,
  kF8E5M2,
  kF8E4M3,
  kF8E8M0,
  kF8E4M3FNUZ,
  kF8E5M2FNUZ,
  kI16,
  kU16,
  kF16,
  kBF16,
  kI32,
  kU32,
  kF32,
  kC64,
  kF64,
  kI64,
  kU64,
};

inline constexpr int kDtypeCount = 22;

/// Bits of one element: 4 and 6 for the sub-byte types, 64 for C64 (two F32).
FERRULE_API std::uint32_t bit_width(Dtype dtype) noexcept;

/// The name in a safetensors header ("BF16", "F8_E4M3").
FERRULE_API std::string_view dtype_name(Dtype dtype) noexcept;

/// The dtype of that exact name, or nullopt.
FERRULE_API std::optional<Dtype> dtype_from_name(std::string_view name) noexcept;

/// True for real floating-point types (not C64, not F8_E8M0, which holds exponents only).
FERRULE_API bool is_floating_point(Dtype dtype) noexcept;

/// Elements of a tensor of that shape (1 for rank 0), or nullopt if the product leaves 64 bits.
FERRULE_API std::optional<std::uint64_t> element_count(
    std::span<const std::uint64_t> shape) noexcept;

/// Bytes of a tensor: elements first, then bits, as the reference multiplies. nullopt if a
/// product leaves 64 bits or a sub-byte tensor does not end on a byte.
FERRULE_API std::optional<std::uint64_t> byte_size(Dtype dtype,
                                                   std::span<const std::uint64_t> shape) noexcept;

}  // namespace ferrule
