// SPDX-License-Identifier: Apache-2.0
#include "update/fold.hpp"

#include <cmath>
#include <cstring>

#include "base/float_convert.hpp"

namespace ferrule::update {
namespace {

/// `Real` is what products are computed in; decode and encode lead to it and back.
template <typename Stored, typename Real, typename Decode, typename Encode>
FoldResult multiply_as(std::span<std::byte> bytes, double wide_factor, Decode decode,
                       Encode encode) {
  const auto factor = static_cast<Real>(wide_factor);
  FoldResult result;
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(Stored)) {
    Stored stored{};
    std::memcpy(&stored, bytes.data() + at, sizeof(Stored));
    const Real before = decode(stored);
    stored = encode(before * factor);
    const Real after = decode(stored);
    std::memcpy(bytes.data() + at, &stored, sizeof(Stored));
    if (!std::isfinite(before)) continue;
    if (!std::isfinite(after)) ++result.overflowed;
    if (after == 0 && before != 0 && wide_factor != 0) ++result.vanished;
    // In double the product of two floats has no rounding; of two doubles fma leaves what it had.
    if (std::fma(static_cast<double>(before), wide_factor, -static_cast<double>(after)) != 0) {
      result.exact = false;
    }
  }
  return result;
}

}  // namespace

FoldResult multiply(Dtype dtype, std::span<std::byte> bytes, double factor) {
  const auto same = [](auto value) { return value; };
  switch (dtype) {
    case Dtype::kF64:
      return multiply_as<double, double>(bytes, factor, same, same);
    case Dtype::kF32:
      return multiply_as<float, float>(bytes, factor, same, same);
    case Dtype::kBF16:
      return multiply_as<std::uint16_t, float>(bytes, factor, base::bf16_to_float,
                                               base::float_to_bf16);
    case Dtype::kF16:
      return multiply_as<std::uint16_t, float>(bytes, factor, base::f16_to_float,
                                               base::float_to_f16);
    default:
      return {};
  }
}

std::vector<std::byte> pad_runs(std::span<const std::byte> bytes, std::size_t from,
                                std::size_t to) {
  const auto runs = from == 0 ? 0 : bytes.size() / from;
  std::vector<std::byte> out(runs * to);
  for (std::size_t i = 0; i < runs; ++i) {
    std::memcpy(out.data() + i * to, bytes.data() + i * from, from);
  }
  return out;
}

SplitStrength split_strength(double strength) {
  if (strength == 0 || !std::isfinite(strength)) return {.a = 1, .b = strength};
  const int power = static_cast<int>(std::floor(std::ilogb(strength) / 2.0));
  const double a = std::ldexp(1.0, power);
  return {.a = a, .b = strength / a};
}

}  // namespace ferrule::update
