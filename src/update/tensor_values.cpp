// SPDX-License-Identifier: Apache-2.0
#include "update/tensor_values.hpp"

#include <cstdint>
#include <cstring>

#include "base/float_convert.hpp"

namespace ferrule::update {
namespace {

template <typename Stored, typename Convert>
void read_as(const TensorView& tensor, std::size_t first, std::span<double> out, Convert convert) {
  const std::byte* from = tensor.bytes().data() + first * sizeof(Stored);
  for (std::size_t i = 0; i < out.size(); ++i) {
    Stored stored{};
    std::memcpy(&stored, from + i * sizeof(Stored), sizeof(Stored));
    out[i] = convert(stored);
  }
}

}  // namespace

bool has_values(Dtype dtype) noexcept { return unit_roundoff(dtype) != 0; }

void read_values(const TensorView& tensor, std::size_t first, std::span<double> out) noexcept {
  switch (tensor.dtype()) {
    case Dtype::kF64:
      return read_as<double>(tensor, first, out, [](double value) { return value; });
    case Dtype::kF32:
      return read_as<float>(tensor, first, out, [](float value) { return double{value}; });
    case Dtype::kBF16:
      return read_as<std::uint16_t>(tensor, first, out, [](std::uint16_t bits) {
        return static_cast<double>(base::bf16_to_float(bits));
      });
    case Dtype::kF16:
      return read_as<std::uint16_t>(tensor, first, out, [](std::uint16_t bits) {
        return static_cast<double>(base::f16_to_float(bits));
      });
    default:
      return;
  }
}

std::optional<std::vector<double>> values_of(const TensorView& tensor) {
  if (!has_values(tensor.dtype())) return std::nullopt;
  std::vector<double> values(static_cast<std::size_t>(tensor.element_count()));
  read_values(tensor, 0, values);
  return values;
}

double unit_roundoff(Dtype dtype) noexcept {
  switch (dtype) {
    case Dtype::kF64:
      return 0x1p-53;
    case Dtype::kF32:
      return 0x1p-24;
    case Dtype::kF16:
      return 0x1p-11;
    case Dtype::kBF16:
      return 0x1p-8;
    default:
      return 0;
  }
}

}  // namespace ferrule::update
