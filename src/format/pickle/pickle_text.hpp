// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ferrule::format {

// The operands of the text opcodes of protocol 0, as Python reads them; nullopt if Python would
// refuse them or if a number does not fit 64 bits.

/// A decimal integer with an optional sign, as in INT, LONG (with its trailing L), GET and PUT.
std::optional<std::int64_t> parse_decimal(std::string_view line) noexcept;

/// A float as Python's repr writes it.
std::optional<double> parse_float(std::string_view line);

/// The content of a STRING line: quotes removed, backslash escapes decoded.
std::optional<std::string> parse_string_literal(std::string_view line);

/// The content of a UNICODE line: \uXXXX and \UXXXXXXXX decoded, the rest Latin-1.
std::optional<std::string> parse_unicode_line(std::string_view line);

}  // namespace ferrule::format
