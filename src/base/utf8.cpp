// SPDX-License-Identifier: Apache-2.0
#include "base/utf8.hpp"

namespace ferrule::base {

std::optional<CodePoint> decode_utf8(std::string_view text) noexcept {
  if (text.empty()) return std::nullopt;
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return CodePoint{lead, 1};
  std::size_t length = 0;
  char32_t value = 0;
  char32_t smallest = 0;
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2, value = lead & 0x1fU, smallest = 0x80;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3, value = lead & 0x0fU, smallest = 0x800;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4, value = lead & 0x07U, smallest = 0x10000;
  } else {
    return std::nullopt;
  }
  if (text.size() < length) return std::nullopt;
  for (std::size_t i = 1; i < length; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xc0U) != 0x80) return std::nullopt;
    value = (value << 6) | (byte & 0x3fU);
  }
  if (value < smallest || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) {
    return std::nullopt;
  }
  return CodePoint{value, length};
}

void append_utf8(std::string& out, char32_t value) {
  const auto put = [&out](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (value < 0x80) {
    put(value);
  } else if (value < 0x800) {
    put(0xc0U | (value >> 6)), put(0x80U | (value & 0x3fU));
  } else if (value < 0x10000) {
    put(0xe0U | (value >> 12)), put(0x80U | ((value >> 6) & 0x3fU)), put(0x80U | (value & 0x3fU));
  } else {
    put(0xf0U | (value >> 18)), put(0x80U | ((value >> 12) & 0x3fU));
    put(0x80U | ((value >> 6) & 0x3fU)), put(0x80U | (value & 0x3fU));
  }
}

bool is_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    const auto point = decode_utf8(text);
    if (!point) return false;
    text.remove_prefix(point->bytes);
  }
  return true;
}

}  // namespace ferrule::base
