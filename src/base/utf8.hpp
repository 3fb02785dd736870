// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ferrule::base {

/// One code point and the bytes it takes.
struct CodePoint {
  char32_t value;
  std::size_t bytes;
};

/// Decodes strictly (no overlong forms, no surrogates, at most U+10FFFF); nullopt if `text`
/// does not start with a valid sequence.
std::optional<CodePoint> decode_utf8(std::string_view text) noexcept;

/// Appends the UTF-8 of a scalar value.
void append_utf8(std::string& out, char32_t value);

/// True if the whole text is strict UTF-8.
bool is_utf8(std::string_view text) noexcept;

}  // namespace ferrule::base
