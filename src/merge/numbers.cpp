// SPDX-License-Identifier: Apache-2.0
#include "merge/numbers.hpp"

#include <bit>
#include <cmath>
#include <cstring>

#include "base/float_convert.hpp"
#include "merge/kernels.hpp"

namespace ferrule::merging {
namespace {

/// The float nearest to `value`, but with its last bit set if that was not exact: a second rounding
/// to fewer bits is then as good as one.
float odd_float(double value) noexcept {
  const auto near = static_cast<float>(value);
  const auto back = static_cast<double>(near);
  if (back == value || !std::isfinite(near)) return near;
  auto bits = std::bit_cast<std::uint32_t>(near);
  if (std::fabs(back) > std::fabs(value)) --bits;
  return std::bit_cast<float>(bits | 1U);
}

float for_rounding(float value) noexcept { return value; }
float for_rounding(double value) noexcept { return odd_float(value); }

template <typename Stored, typename T>
void load_as(const std::byte* from, T* to, std::size_t count) noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    Stored stored{};
    std::memcpy(&stored, from + i * sizeof(Stored), sizeof(Stored));
    to[i] = static_cast<T>(stored);
  }
}

template <typename Stored, typename T>
void store_as(const T* from, std::byte* to, std::size_t count) noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    const auto stored = static_cast<Stored>(from[i]);
    std::memcpy(to + i * sizeof(Stored), &stored, sizeof(Stored));
  }
}

template <typename T, typename Convert>
void load_halves(const std::byte* from, T* to, std::size_t count, Convert convert) noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, from + 2 * i, 2);
    to[i] = static_cast<T>(convert(bits));
  }
}

template <typename T, typename Convert>
void store_halves(const T* from, std::byte* to, std::size_t count, Convert convert) noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint16_t bits = convert(for_rounding(from[i]));
    std::memcpy(to + 2 * i, &bits, 2);
  }
}

template <typename Stored>
void read_integers(const TensorView& tensor, std::vector<std::int64_t>& out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    Stored stored{};
    std::memcpy(&stored, tensor.bytes().data() + i * sizeof(Stored), sizeof(Stored));
    out[i] = static_cast<std::int64_t>(stored);
  }
}

}  // namespace

bool has_numbers(Dtype dtype) noexcept {
  return dtype == Dtype::kF64 || dtype == Dtype::kF32 || dtype == Dtype::kBF16 ||
         dtype == Dtype::kF16;
}

template <typename T>
void load_numbers(Dtype dtype, const std::byte* from, T* to, std::size_t count) noexcept {
  if constexpr (std::is_same_v<T, float>) {
    if (dtype == Dtype::kBF16) return kernels().load_bf16(from, to, count);
    if (dtype == Dtype::kF16) return kernels().load_f16(from, to, count);
    if (dtype == Dtype::kF32) {
      std::memcpy(to, from, count * sizeof(float));
      return;
    }
  }
  if (dtype == Dtype::kF64) return load_as<double>(from, to, count);
  if (dtype == Dtype::kF32) return load_as<float>(from, to, count);
  if (dtype == Dtype::kBF16) return load_halves(from, to, count, base::bf16_to_float);
  if (dtype == Dtype::kF16) return load_halves(from, to, count, base::f16_to_float);
}

template <typename T>
void store_numbers(Dtype dtype, const T* from, std::byte* to, std::size_t count) noexcept {
  if constexpr (std::is_same_v<T, float>) {
    if (dtype == Dtype::kBF16) return kernels().store_bf16(from, to, count);
    if (dtype == Dtype::kF16) return kernels().store_f16(from, to, count);
    if (dtype == Dtype::kF32) {
      std::memcpy(to, from, count * sizeof(float));
      return;
    }
  }
  if (dtype == Dtype::kF64) return store_as<double>(from, to, count);
  if (dtype == Dtype::kF32) return store_as<float>(from, to, count);
  if (dtype == Dtype::kBF16) return store_halves(from, to, count, base::float_to_bf16);
  if (dtype == Dtype::kF16) return store_halves(from, to, count, base::float_to_f16);
}

template <typename T>
void round_numbers(Dtype dtype, T* values, std::size_t count) noexcept {
  if (dtype == Dtype::kBF16) {
    for (std::size_t i = 0; i < count; ++i) {
      values[i] = static_cast<T>(base::bf16_to_float(base::float_to_bf16(for_rounding(values[i]))));
    }
  } else if (dtype == Dtype::kF16) {
    for (std::size_t i = 0; i < count; ++i) {
      values[i] = static_cast<T>(base::f16_to_float(base::float_to_f16(for_rounding(values[i]))));
    }
  } else if (dtype == Dtype::kF32) {
    for (std::size_t i = 0; i < count; ++i) {
      values[i] = static_cast<T>(static_cast<float>(values[i]));
    }
  }
}

template <typename T>
std::vector<T> numbers_of(const TensorView& tensor) {
  if (!has_numbers(tensor.dtype())) return {};
  std::vector<T> out(static_cast<std::size_t>(tensor.element_count()));
  load_numbers(tensor.dtype(), tensor.bytes().data(), out.data(), out.size());
  return out;
}

std::vector<std::int64_t> integers_of(const TensorView& tensor) {
  std::vector<std::int64_t> out(static_cast<std::size_t>(tensor.element_count()));
  switch (tensor.dtype()) {
    case Dtype::kBool:
    case Dtype::kU8:
      read_integers<std::uint8_t>(tensor, out);
      break;
    case Dtype::kI8:
      read_integers<std::int8_t>(tensor, out);
      break;
    case Dtype::kI16:
      read_integers<std::int16_t>(tensor, out);
      break;
    case Dtype::kU16:
      read_integers<std::uint16_t>(tensor, out);
      break;
    case Dtype::kI32:
      read_integers<std::int32_t>(tensor, out);
      break;
    case Dtype::kU32:
      read_integers<std::uint32_t>(tensor, out);
      break;
    case Dtype::kI64:
    case Dtype::kU64:
      read_integers<std::int64_t>(tensor, out);
      break;
    default:
      return {};
  }
  return out;
}

template void load_numbers(Dtype, const std::byte*, float*, std::size_t) noexcept;
template void load_numbers(Dtype, const std::byte*, double*, std::size_t) noexcept;
template void store_numbers(Dtype, const float*, std::byte*, std::size_t) noexcept;
template void store_numbers(Dtype, const double*, std::byte*, std::size_t) noexcept;
template void round_numbers(Dtype, float*, std::size_t) noexcept;
template void round_numbers(Dtype, double*, std::size_t) noexcept;
template std::vector<float> numbers_of(const TensorView&);
template std::vector<double> numbers_of(const TensorView&);

}  // namespace ferrule::merging
