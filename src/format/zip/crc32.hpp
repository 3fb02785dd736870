// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ferrule::format {

/// The CRC-32 of zip and gzip, continued from `crc` (0 at the start), at the speed of memory.
std::uint32_t crc32(std::uint32_t crc, std::span<const std::byte> bytes) noexcept;

}  // namespace ferrule::format
