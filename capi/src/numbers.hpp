// SPDX-License-Identifier: Apache-2.0
// The numbers that the C interface gives to what the library calls by name: fixed, in whatever
// order the library has them.
#pragma once

#include <cstdint>
#include <optional>

#include "ferrule/dtype.hpp"

namespace ferrule::capi {

std::uint32_t number_of(Dtype dtype) noexcept;

/// nullopt if no dtype has that number.
std::optional<Dtype> dtype_of(std::uint32_t number) noexcept;

}  // namespace ferrule::capi
