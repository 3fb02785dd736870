// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace ferrule::test {

/// A safetensors file of that header, without padding, and `data_bytes` of zeros.
inline std::string safetensors(std::string_view header, std::size_t data_bytes = 0) {
  std::string file;
  for (std::uint64_t i = 0, length = header.size(); i < 8; ++i, length >>= 8) {
    file += static_cast<char>(length & 0xff);
  }
  file += header;
  file.append(data_bytes, '\0');
  return file;
}

inline std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace ferrule::test
