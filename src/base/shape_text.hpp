// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace ferrule::base {

/// "[3, 24]", for messages; "[]" for a scalar.
std::string shape_text(std::span<const std::uint64_t> shape);

}  // namespace ferrule::base
