// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "ferrule/json.hpp"

namespace ferrule::reports {

/// The extents as an array.
inline Json shape_json(std::span<const std::uint64_t> shape) {
  Json::Array array;
  for (const auto extent : shape) array.push_back(Json(extent));
  return array;
}

}  // namespace ferrule::reports
