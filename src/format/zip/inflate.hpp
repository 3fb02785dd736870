// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ferrule/result.hpp"

namespace ferrule::format {

/// Inflates a raw deflate stream to exactly `bytes`, which the caller has bounded. Fails with
/// kCorrupt (TZ-7) or kLimitExceeded (no memory).
Result<std::vector<std::byte>> inflate(std::span<const std::byte> packed, std::uint64_t bytes);

}  // namespace ferrule::format
