// SPDX-License-Identifier: Apache-2.0
#include "ferrule/dtype.hpp"

#include <array>

#include "base/checked.hpp"

namespace ferrule {
namespace {

struct DtypeFacts {
  std::string_view name;
  std::uint32_t bits;
};

constexpr std::array<DtypeFacts, kDtypeCount> kDtypes = {
    {{"BOOL", 8},        {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
     {"I8", 8},          {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
     {"F8_E5M2FNUZ", 8}, {"I16", 16},    {"U16", 16},    {"F16", 16},    {"BF16", 16},
     {"I32", 32},        {"U32", 32},    {"F32", 32},    {"C64", 64},    {"F64", 64},
     {"I64", 64},        {"U64", 64}}};

const DtypeFacts& facts(Dtype dtype) noexcept { return kDtypes[static_cast<std::size_t>(dtype)]; }

}  // namespace

std::uint32_t bit_width(Dtype dtype) noexcept { return facts(dtype).bits; }

std::string_view dtype_name(Dtype dtype) noexcept { return facts(dtype).name; }

std::optional<Dtype> dtype_from_name(std::string_view name) noexcept {
  for (std::size_t i = 0; i < kDtypes.size(); ++i) {
    if (kDtypes[i].name == name) return static_cast<Dtype>(i);
  }
  return std::nullopt;
}

bool is_floating_point(Dtype dtype) noexcept {
  switch (dtype) {
    case Dtype::kF4:
    case Dtype::kF6E2M3:
    case Dtype::kF6E3M2:
    case Dtype::kF8E5M2:
    case Dtype::kF8E4M3:
    case Dtype::kF8E4M3FNUZ:
    case Dtype::kF8E5M2FNUZ:
    case Dtype::kF16:
    case Dtype::kBF16:
    case Dtype::kF32:
    case Dtype::kF64:
      return true;
    default:
      return false;
  }
}

std::optional<std::uint64_t> element_count(std::span<const std::uint64_t> shape) noexcept {
  std::uint64_t count = 1;
  for (const auto extent : shape) {
    const auto product = base::checked_mul(count, extent);
    if (!product) return std::nullopt;
    count = *product;
  }
  return count;
}

std::optional<std::uint64_t> byte_size(Dtype dtype, std::span<const std::uint64_t> shape) noexcept {
  const auto count = element_count(shape);
  if (!count) return std::nullopt;
  const auto bits = base::checked_mul(*count, bit_width(dtype));
  if (!bits || *bits % 8 != 0) return std::nullopt;
  return *bits / 8;
}

}  // namespace ferrule
