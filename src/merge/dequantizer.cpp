// SPDX-License-Identifier: Apache-2.0
#include "merge/dequantizer.hpp"

#include <bit>
#include <cmath>
#include <limits>

#include "merge/dequantizer_parts.hpp"

namespace ferrule::merging {
namespace {

/// A byte of sign, exponent and mantissa. Without infinities all bits set is not a number.
float small_float(unsigned byte, unsigned mantissa_bits, int bias, bool has_infinity) {
  const unsigned mantissa = byte & ((1U << mantissa_bits) - 1);
  const unsigned exponent_bits = 7 - mantissa_bits;
  const unsigned exponent = (byte >> mantissa_bits) & ((1U << exponent_bits) - 1);
  const bool top = exponent == (1U << exponent_bits) - 1;
  const float sign = (byte & 0x80U) != 0 ? -1.F : 1.F;
  if (top && has_infinity && mantissa == 0) return sign * std::numeric_limits<float>::infinity();
  if (top && (has_infinity || mantissa == (1U << mantissa_bits) - 1)) {
    return std::numeric_limits<float>::quiet_NaN();
  }
  const int shift =
      static_cast<int>(exponent == 0 ? 1 : exponent) - bias - static_cast<int>(mantissa_bits);
  const unsigned whole = exponent == 0 ? mantissa : mantissa | (1U << mantissa_bits);
  return sign * std::ldexp(static_cast<float>(whole), shift);
}

std::array<float, 256> make_values(Dtype dtype) {
  std::array<float, 256> out{};
  for (unsigned i = 0; i < out.size(); ++i) {
    if (dtype == Dtype::kF8E4M3) {
      out[i] = small_float(i, 3, 7, false);
    } else if (dtype == Dtype::kF8E5M2) {
      out[i] = small_float(i, 2, 15, true);
    } else if (dtype == Dtype::kI8) {
      out[i] = static_cast<float>(static_cast<std::int8_t>(i));
    } else {
      out[i] = std::ldexp(1.F, static_cast<int>(i) - 127);
    }
  }
  if (dtype == Dtype::kF8E8M0) out[255] = std::numeric_limits<float>::quiet_NaN();
  return out;
}

}  // namespace

const std::array<float, 256>& byte_values(Dtype dtype) {
  static const std::array<float, 256> kE4M3 = make_values(Dtype::kF8E4M3);
  static const std::array<float, 256> kE5M2 = make_values(Dtype::kF8E5M2);
  static const std::array<float, 256> kI8 = make_values(Dtype::kI8);
  static const std::array<float, 256> kE8M0 = make_values(Dtype::kF8E8M0);
  static const std::array<float, 256> kExponent = make_values(Dtype::kU8);
  switch (dtype) {
    case Dtype::kF8E4M3:
      return kE4M3;
    case Dtype::kF8E5M2:
      return kE5M2;
    case Dtype::kI8:
      return kI8;
    case Dtype::kF8E8M0:
      return kE8M0;
    default:
      return kExponent;
  }
}

std::vector<float> scale_values(const TensorView& scales) {
  if (has_numbers(scales.dtype())) return numbers_of<float>(scales);
  const auto& values = byte_values(scales.dtype());
  std::vector<float> out(scales.bytes().size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = values[static_cast<std::size_t>(scales.bytes()[i])];
  }
  return out;
}

std::unique_ptr<const Dequantizer> Dequantizer::make(const model::QuantizedWeight& weight) {
  switch (weight.kind) {
    case model::Quantization::kGptq:
    case model::Quantization::kAwq:
    case model::Quantization::kPackedInts:
    case model::Quantization::kInt8Rows:
      return dequantize_integers(weight);
    default:
      return dequantize_floats(weight);
  }
}

}  // namespace ferrule::merging
