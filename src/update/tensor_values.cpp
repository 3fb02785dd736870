// SPDX-License-Identifier: Apache-2.0
#include "update/tensor_values.hpp"

#include <cstdint>
#include <cstring>

#include "base/float_convert.hpp"

namespace ferrule::update {
namespace {

template <typename Stored, typename Convert>
__attribute__((always_inline)) inline void read_as(const std::byte* from, std::span<double> out,
                                                   Convert convert) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    Stored stored{};
    std::memcpy(&stored, from + i * sizeof(Stored), sizeof(Stored));
    out[i] = convert(stored);
  }
}

__attribute__((always_inline)) inline void read_all(Dtype dtype, const std::byte* from,
                                                    std::span<double> out) {
  switch (dtype) {
    case Dtype::kF64:
      return read_as<double>(from, out, [](double value) { return value; });
    case Dtype::kF32:
      return read_as<float>(from, out, [](float value) { return double{value}; });
    case Dtype::kBF16:
      return read_as<std::uint16_t>(from, out, [](std::uint16_t bits) {
        return static_cast<double>(base::bf16_to_float(bits));
      });
    case Dtype::kF16:
      return read_as<std::uint16_t>(from, out, [](std::uint16_t bits) {
        return static_cast<double>(base::f16_to_float(bits));
      });
    default:
      return;
  }
}

void read_anywhere(Dtype dtype, const std::byte* from, std::span<double> out) {
  read_all(dtype, from, out);
}

#if defined(__x86_64__)
// The same values: only more of them at a time.
__attribute__((target("avx2"))) void read_avx2(Dtype dtype, const std::byte* from,
                                               std::span<double> out) {
  read_all(dtype, from, out);
}
#endif

using Reader = void (*)(Dtype, const std::byte*, std::span<double>);

Reader best_reader() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return read_avx2;
#endif
  return read_anywhere;
}

}  // namespace

bool has_values(Dtype dtype) noexcept { return unit_roundoff(dtype) != 0; }

void read_values(const TensorView& tensor, std::size_t first, std::span<double> out) noexcept {
  static const Reader kReader = best_reader();
  kReader(tensor.dtype(), tensor.bytes().data() + first * (bit_width(tensor.dtype()) / 8), out);
}

bool all_finite(std::span<const double> values) noexcept {
  std::uint64_t found = 0;
  // Zero, if not infinite or not a number.
  for (const double value : values) found |= value - value != 0 ? 1U : 0U;
  return found == 0;
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
