// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

#include "ferrule/dtype.hpp"
#include "ferrule/export.hpp"
#include "ferrule/result.hpp"

namespace ferrule {

/// C++ types whose object representation is that of a dtype on a little-endian host.
template <typename T>
concept NativeElement = (std::same_as<T, float> || std::same_as<T, double> ||
                         std::same_as<T, std::int8_t> || std::same_as<T, std::int16_t> ||
                         std::same_as<T, std::int32_t> || std::same_as<T, std::int64_t> ||
                         std::same_as<T, std::uint8_t> || std::same_as<T, std::uint16_t> ||
                         std::same_as<T, std::uint32_t> || std::same_as<T, std::uint64_t>);

/// The dtype that holds T.
template <NativeElement T>
constexpr Dtype native_dtype() noexcept {
  if constexpr (std::same_as<T, float>) return Dtype::kF32;
  if constexpr (std::same_as<T, double>) return Dtype::kF64;
  if constexpr (std::same_as<T, std::int8_t>) return Dtype::kI8;
  if constexpr (std::same_as<T, std::int16_t>) return Dtype::kI16;
  if constexpr (std::same_as<T, std::int32_t>) return Dtype::kI32;
  if constexpr (std::same_as<T, std::int64_t>) return Dtype::kI64;
  if constexpr (std::same_as<T, std::uint8_t>) return Dtype::kU8;
  if constexpr (std::same_as<T, std::uint16_t>) return Dtype::kU16;
  if constexpr (std::same_as<T, std::uint32_t>) return Dtype::kU32;
  if constexpr (std::same_as<T, std::uint64_t>) return Dtype::kU64;
}

/// A tensor in someone else's memory: dtype, shape, and exactly the bytes that they need.
/// Row-major, contiguous, little-endian. Owns nothing and is cheap to copy; the function that
/// returns one says how long the memory lives.
class TensorView {
 public:
  /// An F32 tensor of shape [0].
  TensorView() noexcept = default;

  /// Fails with kInvalidArgument if `bytes` is not exactly byte_size(dtype, shape). `shape` is not
  /// copied either.
  static FERRULE_API Result<TensorView> make(Dtype dtype, std::span<const std::uint64_t> shape,
                                             std::span<const std::byte> bytes);

  Dtype dtype() const noexcept { return dtype_; }

  /// Empty for a scalar, which has one element.
  std::span<const std::uint64_t> shape() const noexcept { return shape_; }

  /// May be unaligned for the dtype: the file formats do not promise otherwise.
  std::span<const std::byte> bytes() const noexcept { return bytes_; }

  std::uint64_t element_count() const noexcept {
    std::uint64_t count = 1;
    for (const auto extent : shape_) count *= extent;
    return count;
  }

  /// The elements in place, or nullopt if they cannot be read as T without a copy: another
  /// dtype, a misaligned start, or a big-endian host.
  template <NativeElement T>
  std::optional<std::span<const T>> as() const noexcept {
    if constexpr (std::endian::native != std::endian::little && sizeof(T) > 1) return std::nullopt;
    if (dtype_ != native_dtype<T>()) return std::nullopt;
    if (reinterpret_cast<std::uintptr_t>(bytes_.data()) % alignof(T) != 0) return std::nullopt;
    return std::span<const T>(reinterpret_cast<const T*>(bytes_.data()), bytes_.size() / sizeof(T));
  }

 private:
  friend struct TensorViewAccess;
  TensorView(Dtype dtype, std::span<const std::uint64_t> shape,
             std::span<const std::byte> bytes) noexcept
      : dtype_(dtype), shape_(shape), bytes_(bytes) {}

  static constexpr std::uint64_t kEmptyShape[1] = {0};

  Dtype dtype_ = Dtype::kF32;
  std::span<const std::uint64_t> shape_ = kEmptyShape;
  std::span<const std::byte> bytes_;
};

static_assert(std::is_trivially_copyable_v<TensorView>);

/// A tensor and its name, both in someone else's memory.
struct NamedTensor {
  std::string_view name;
  TensorView tensor;
};

}  // namespace ferrule
