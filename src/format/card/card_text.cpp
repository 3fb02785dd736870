// SPDX-License-Identifier: Apache-2.0
#include "format/card/card_text.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <vector>

#include "base/utf8.hpp"

namespace ferrule::format {
namespace {

constexpr std::string_view kHeading = "### Framework versions";
constexpr std::string_view kBegin = "<!-- ferrule:begin ";
constexpr std::string_view kBeginTail = " -->\n";
constexpr std::string_view kEnd = "<!-- ferrule:end -->";
constexpr std::size_t kChecksumDigits = 16;

/// The bytes of the line break at the start of `text`, by Python's str.splitlines.
std::size_t python_line_break(std::string_view text) noexcept {
  if (text.substr(0, 2) == "\r\n") return 2;
  const char c = text[0];
  if ((c >= '\n' && c <= '\r') || (c >= '\x1c' && c <= '\x1e')) return 1;
  if (text.substr(0, 2) == "\xc2\x85") return 2;
  return text.substr(0, 3) == "\xe2\x80\xa8" || text.substr(0, 3) == "\xe2\x80\xa9" ? 3 : 0;
}

struct Line {
  std::string_view text;
  std::size_t begin;
};

struct Lines {
  std::vector<Line> all;
  bool last_is_ended = true;
};

Lines split_lines(std::string_view body) {
  Lines lines;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < body.size();) {
    const std::size_t length = python_line_break(body.substr(at));
    if (length == 0) {
      ++at;
      continue;
    }
    lines.all.push_back({body.substr(begin, at - begin), begin});
    at += length;
    begin = at;
  }
  lines.last_is_ended = begin == body.size();
  if (!lines.last_is_ended) lines.all.push_back({body.substr(begin), begin});
  return lines;
}

/// FNV-1a. It tells an edit from none; forging it gains nothing.
std::string checksum(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3U;
  }
  std::array<char, kChecksumDigits + 1> digits{};
  std::snprintf(digits.data(), digits.size(), "%016llx", static_cast<unsigned long long>(hash));
  return digits.data();
}

}  // namespace

std::string with_framework_line(std::string_view body, std::string_view version,
                                std::string_view eol) {
  const std::string wanted = "- PEFT " + std::string(version);
  const Lines lines = split_lines(body);
  const auto find = [&](std::string_view text) {
    return std::find_if(lines.all.begin(), lines.all.end(),
                        [&](const Line& line) { return line.text == text; });
  };
  std::string out(body);
  if (find(wanted) != lines.all.end()) return out;
  const auto heading = find(kHeading);
  if (heading != lines.all.end() && lines.all.end() - heading > 2) {
    return out.insert((heading + 2)->begin, wanted + std::string(eol));
  }
  if (!lines.last_is_ended) out += eol;
  if (heading == lines.all.end()) {
    out += kHeading;
    out += eol;
    out += eol;
  }
  return out + wanted;
}

std::string mark_generated(std::string_view content) {
  std::string out(kBegin);
  out += checksum(content);
  out += kBeginTail;
  out += content;
  return out += kEnd;
}

std::optional<GeneratedPart> find_generated(std::string_view body) noexcept {
  const auto begin = body.find(kBegin);
  if (begin == std::string_view::npos) return std::nullopt;
  const std::string_view digits = body.substr(begin + kBegin.size(), kChecksumDigits);
  const std::size_t tail = begin + kBegin.size() + digits.size();
  const auto end = body.find(kEnd, tail);
  if (end == std::string_view::npos) return std::nullopt;
  if (body.substr(tail, kBeginTail.size()) != kBeginTail) {
    return GeneratedPart{body.substr(tail, end - tail), false};
  }
  const std::size_t content = tail + kBeginTail.size();
  if (end < content) return GeneratedPart{body.substr(tail, end - tail), false};
  GeneratedPart part{body.substr(content, end - content), false};
  part.is_untouched = checksum(part.content) == digits;
  return part;
}

}  // namespace ferrule::format
