// SPDX-License-Identifier: Apache-2.0
#include "numbers.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "ferrule/c.h"

namespace ferrule::capi {
namespace {

constexpr std::array<std::pair<Dtype, ferrule_dtype>, kDtypeCount> kNumbers = {{
    {Dtype::kBool, FERRULE_BOOL},
    {Dtype::kF4, FERRULE_F4},
    {Dtype::kF6E2M3, FERRULE_F6_E2M3},
    {Dtype::kF6E3M2, FERRULE_F6_E3M2},
    {Dtype::kU8, FERRULE_U8},
    {Dtype::kI8, FERRULE_I8},
    {Dtype::kF8E5M2, FERRULE_F8_E5M2},
    {Dtype::kF8E4M3, FERRULE_F8_E4M3},
    {Dtype::kF8E8M0, FERRULE_F8_E8M0},
    {Dtype::kF8E4M3FNUZ, FERRULE_F8_E4M3FNUZ},
    {Dtype::kF8E5M2FNUZ, FERRULE_F8_E5M2FNUZ},
    {Dtype::kI16, FERRULE_I16},
    {Dtype::kU16, FERRULE_U16},
    {Dtype::kF16, FERRULE_F16},
    {Dtype::kBF16, FERRULE_BF16},
    {Dtype::kI32, FERRULE_I32},
    {Dtype::kU32, FERRULE_U32},
    {Dtype::kF32, FERRULE_F32},
    {Dtype::kC64, FERRULE_C64},
    {Dtype::kF64, FERRULE_F64},
    {Dtype::kI64, FERRULE_I64},
    {Dtype::kU64, FERRULE_U64},
}};

/// By dtype: engines ask for every tensor.
constexpr auto kByDtype = [] {
  std::array<std::uint32_t, kDtypeCount> numbers = {};
  for (const auto& [dtype, number] : kNumbers) {
    numbers[static_cast<std::size_t>(dtype)] = static_cast<std::uint32_t>(number);
  }
  return numbers;
}();

}  // namespace

std::uint32_t number_of(Dtype dtype) noexcept {
  const auto at = static_cast<std::size_t>(dtype);
  return at < kByDtype.size() ? kByDtype[at] : 0;
}

std::optional<Dtype> dtype_of(std::uint32_t number) noexcept {
  const auto found = std::find_if(kNumbers.begin(), kNumbers.end(),
                                  [&](const auto& row) { return row.second == number; });
  if (found == kNumbers.end()) return std::nullopt;
  return found->first;
}

}  // namespace ferrule::capi
