// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#include "ferrule/dtype.hpp"
#include "merge/numbers.hpp"
#include "model/quantized_weights.hpp"

namespace ferrule::merging {

/// Rounds to the dtype that the library computes in; exact values stay.
template <typename T>
void round_as_library(Dtype dtype, T* values, std::size_t count) {
  if constexpr (std::is_same_v<T, float>) {
    if (dtype != Dtype::kF32) round_numbers(dtype, values, count);
  }
}

template <typename Word>
Word load_word(const TensorView& tensor, std::size_t index) {
  Word value{};
  std::memcpy(&value, tensor.bytes().data() + index * sizeof(Word), sizeof(Word));
  return value;
}

/// Value `index` of a dense stream of values of `bits` bits in words of 32, `stride` words apart.
inline std::uint32_t packed_value(const TensorView& words, std::size_t first, std::size_t stride,
                                  std::size_t index, unsigned bits) {
  const std::size_t bit = index * bits;
  const std::size_t word = bit / 32;
  const unsigned shift = static_cast<unsigned>(bit % 32);
  std::uint64_t both = load_word<std::uint32_t>(words, first + word * stride);
  if (shift + bits > 32) {
    both |= std::uint64_t{load_word<std::uint32_t>(words, first + (word + 1) * stride)} << 32;
  }
  return static_cast<std::uint32_t>(both >> shift) & ((1U << bits) - 1);
}

/// The 256 values of a byte of that dtype: FP8, I8, or an exponent of 2 (E8M0, U8).
const std::array<float, 256>& byte_values(Dtype dtype);

/// The values of a tensor of scales as float.
std::vector<float> scale_values(const TensorView& scales);

/// The 16 values of FP4 (E2M1).
inline constexpr std::array<float, 16> kE2M1 = {0,    0.5F,  1,  1.5F,  2,  3,  4,  6,
                                                -0.F, -0.5F, -1, -1.5F, -2, -3, -4, -6};

inline std::size_t columns_of(const model::QuantizedWeight& weight) {
  std::size_t columns = 1;
  for (std::size_t axis = 1; axis < weight.shape.size(); ++axis) {
    columns *= static_cast<std::size_t>(weight.shape[axis]);
  }
  return columns;
}

}  // namespace ferrule::merging
