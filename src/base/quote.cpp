// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstdio>

#include "base/utf8.hpp"
#include "ferrule/text.hpp"

namespace ferrule {
namespace {

struct Range {
  char32_t first;
  char32_t last;
};

/// Characters that print as nothing or turn the text around them: controls, no-break space, line
/// and paragraph separators, bidirectional marks, and all of Unicode's Default_Ignorable_Code_Point
/// (DerivedCoreProperties.txt 15.1). Ascending.
constexpr Range kTreacherous[] = {
    {0x00, 0x1f},     {0x7f, 0xa0},       {0xad, 0xad},       {0x34f, 0x34f},    {0x61c, 0x61c},
    {0x115f, 0x1160}, {0x17b4, 0x17b5},   {0x180b, 0x180f},   {0x200b, 0x200f},  {0x2028, 0x202f},
    {0x2060, 0x206f}, {0x3164, 0x3164},   {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},  {0xffa0, 0xffa0},
    {0xfff0, 0xfffb}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff}};

bool is_treacherous(char32_t c) noexcept {
  for (const auto& range : kTreacherous) {
    if (c <= range.last) return c >= range.first;
  }
  return false;
}

/// How many characters at the start of `text` stand for themselves: most texts are only these.
std::size_t plain_prefix(std::string_view text, bool quotes) noexcept {
  std::size_t size = 0;
  while (size < text.size() && text[size] >= ' ' && text[size] <= '~' &&
         !(quotes && (text[size] == '"' || text[size] == '\\'))) {
    ++size;
  }
  return size;
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
    if (const auto plain = std::min(plain_prefix(text, quotes), limit - out.size()); plain != 0) {
      out += text.substr(0, plain);
      text.remove_prefix(plain);
      continue;
    }
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
