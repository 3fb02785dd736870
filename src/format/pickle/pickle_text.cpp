// SPDX-License-Identifier: Apache-2.0
#include "format/pickle/pickle_text.hpp"

#include <charconv>
#include <limits>

#include "base/utf8.hpp"

namespace ferrule::format {
namespace {

std::optional<std::uint32_t> parse_hex(std::string_view digits) noexcept {
  std::uint32_t value = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

/// The character that `\c` stands for, where that is one letter.
std::optional<char> simple_escape(char c) noexcept {
  switch (c) {
    case '\\':
    case '\'':
    case '"':
      return c;
    case 'a':
      return '\a';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'v':
      return '\v';
    default:
      return std::nullopt;
  }
}

}  // namespace

std::optional<std::int64_t> parse_decimal(std::string_view line) noexcept {
  if (!line.empty() && line.front() == '+') {
    line.remove_prefix(1);
    if (line.starts_with('-')) return std::nullopt;
  }
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
  if (error != std::errc() || end != line.data() + line.size()) return std::nullopt;
  return value;
}

std::optional<double> parse_float(std::string_view line) {
  if (line == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (line == "inf") return std::numeric_limits<double>::infinity();
  if (line == "-inf") return -std::numeric_limits<double>::infinity();
  double value = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
  if (error != std::errc() || end != line.data() + line.size()) return std::nullopt;
  return value;
}

std::optional<std::string> parse_string_literal(std::string_view line) {
  while (!line.empty() && (line.back() == ' ' || line.back() == '\r')) line.remove_suffix(1);
  if (line.size() < 2 || (line.front() != '\'' && line.front() != '"') ||
      line.back() != line.front()) {
    return std::nullopt;
  }
  line = line.substr(1, line.size() - 2);
  std::string out;
  out.reserve(line.size());
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '\\') {
      out.push_back(line[i]);
      continue;
    }
    if (++i == line.size()) return std::nullopt;
    if (const auto simple = simple_escape(line[i])) {
      out.push_back(*simple);
    } else if (line[i] == 'x') {
      const auto value = line.size() - i > 2 ? parse_hex(line.substr(i + 1, 2)) : std::nullopt;
      if (!value) return std::nullopt;
      out.push_back(static_cast<char>(*value));
      i += 2;
    } else if (line[i] >= '0' && line[i] <= '7') {
      unsigned value = 0;
      std::size_t digits = 0;
      while (digits < 3 && i + digits < line.size() && line[i + digits] >= '0' &&
             line[i + digits] <= '7') {
        value = value * 8 + static_cast<unsigned>(line[i + digits] - '0');
        ++digits;
      }
      out.push_back(static_cast<char>(value & 0xff));
      i += digits - 1;
    } else {
      out.append({'\\', line[i]});  // As Python keeps escapes that it does not know.
    }
  }
  return out;
}

std::optional<std::string> parse_unicode_line(std::string_view line) {
  std::string out;
  out.reserve(line.size());
  for (std::size_t i = 0; i < line.size(); ++i) {
    const bool escape =
        line[i] == '\\' && i + 1 < line.size() && (line[i + 1] == 'u' || line[i + 1] == 'U');
    if (!escape) {
      base::append_utf8(out, static_cast<unsigned char>(line[i]));
      continue;
    }
    const std::size_t digits = line[i + 1] == 'u' ? 4 : 8;
    const auto value =
        line.size() - i - 2 >= digits ? parse_hex(line.substr(i + 2, digits)) : std::nullopt;
    if (!value || *value > 0x10ffff || (*value >= 0xd800 && *value < 0xe000)) return std::nullopt;
    base::append_utf8(out, static_cast<char32_t>(*value));
    i += 1 + digits;
  }
  return out;
}

}  // namespace ferrule::format
