// SPDX-License-Identifier: Apache-2.0
#include "format/zip/crc32.hpp"

#include <libdeflate.h>

namespace ferrule::format {

std::uint32_t crc32(std::uint32_t crc, std::span<const std::byte> bytes) noexcept {
  return libdeflate_crc32(crc, bytes.data(), bytes.size());
}

}  // namespace ferrule::format
