// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstdio>

#include "base/utf8.hpp"
#include "ferrule/text.hpp"

namespace ferrule {
namespace {

/// Characters that print as nothing or turn the text around them: C1 controls, soft hyphen, zero
/// width and bidirectional marks, line and paragraph separators, the byte order mark, tags.
bool is_treacherous(char32_t c) noexcept {
  return c < 0x20 || (c >= 0x7f && c <= 0xa0) || c == 0xad || c == 0x61c || c == 0x180e ||
         (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202f) ||
         (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff0 && c <= 0xfffb) ||
         (c >= 0xe0000 && c <= 0xe0fff);
}

std::string escape(std::string_view text, std::size_t limit, bool quotes) {
  std::string out;
  std::array<char, 16> buffer{};
  const auto append = [&](const char* format, unsigned value) {
    std::snprintf(buffer.data(), buffer.size(), format, value);
    out += buffer.data();
  };
  while (!text.empty()) {
    if (out.size() >= limit) return out + "...";
    const auto point = base::decode_utf8(text);
    if (!point) {
      append("\\x%02x", static_cast<unsigned char>(text[0]));
      text.remove_prefix(1);
      continue;
    }
    if (quotes && (point->value == U'"' || point->value == U'\\')) {
      out += '\\';
      out += static_cast<char>(point->value);
    } else if (point->value == U'\n') {
      out += "\\n";
    } else if (point->value == U'\t') {
      out += "\\t";
    } else if (is_treacherous(point->value)) {
      append(point->value > 0xffff ? "\\U%08x" : "\\u%04x", static_cast<unsigned>(point->value));
    } else {
      out += text.substr(0, point->bytes);
    }
    text.remove_prefix(point->bytes);
  }
  return out;
}

}  // namespace

std::string quote(std::string_view text, std::size_t limit) {
  return "\"" + escape(text, limit, true) + "\"";
}

std::string printable(std::string_view text, std::size_t limit) {
  return escape(text, limit, false);
}

}  // namespace ferrule
