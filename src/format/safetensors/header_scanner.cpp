// SPDX-License-Identifier: Apache-2.0
#include "format/safetensors/header_scanner.hpp"

#include <bit>
#include <cstring>

#include "base/ascii.hpp"
#include "base/checked.hpp"
#include "base/errors.hpp"
#include "base/utf8.hpp"
#include "ferrule/text.hpp"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace ferrule::format {
namespace {

/// The first byte of [p, end) that a string cannot simply contain: a quote, a backslash, a control
/// character, or one that is not ASCII.
const char* skip_plain(const char* p, const char* end) noexcept {
#if defined(__SSE2__)
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  const __m128i space = _mm_set1_epi8(' ');
  for (; end - p >= 16; p += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    // Signed: bytes from 0x80 on are below the space too.
    const __m128i special =
        _mm_or_si128(_mm_cmplt_epi8(bytes, space),
                     _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)));
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(special));
    if (mask != 0) return p + std::countr_zero(mask);
  }
#endif
  for (; p < end; ++p) {
    const auto byte = static_cast<unsigned char>(*p);
    if (byte < 0x20 || byte >= 0x80 || byte == '"' || byte == '\\') return p;
  }
  return end;
}

std::uint32_t hex_value(char digit) noexcept {
  if (digit >= '0' && digit <= '9') return static_cast<std::uint32_t>(digit - '0');
  if (digit >= 'a' && digit <= 'f') return static_cast<std::uint32_t>(digit - 'a') + 10;
  if (digit >= 'A' && digit <= 'F') return static_cast<std::uint32_t>(digit - 'A') + 10;
  return 16;
}

bool is_high_surrogate(std::uint32_t unit) noexcept { return unit >= 0xd800 && unit <= 0xdbff; }
bool is_low_surrogate(std::uint32_t unit) noexcept { return unit >= 0xdc00 && unit <= 0xdfff; }

}  // namespace

bool HeaderScanner::refuse(std::string_view rule, std::string message, ErrorCode code) {
  if (!failed()) error_ = base::make_error(code, rule, std::move(message));
  return false;
}

std::string HeaderScanner::found() {
  if (peek() == '\0' && at_ >= end_) return "the end of the header";
  const auto left = static_cast<std::size_t>(end_ - at_);
  return quote(std::string_view(at_, left < 24 ? left : 24)) + " at header byte " +
         std::to_string(offset());
}

bool HeaderScanner::expect(char token, std::string_view where) {
  if (take(token)) return true;
  return refuse("ST-4", "expected '" + std::string(1, token) + "' " + std::string(where) +
                            ", found " + found());
}

bool HeaderScanner::string(std::string_view& raw, bool& escaped, std::string_view what) {
  if (!take('"')) {
    return refuse("ST-4", "expected " + std::string(what) + " (a string), found " + found());
  }
  const char* const start = at_;
  escaped = false;
  while (true) {
    at_ = skip_plain(at_, end_);
    if (at_ >= end_) {
      return refuse("ST-4", "the header ends inside " + std::string(what) + ", a string");
    }
    if (*at_ == '"') break;
    if (*at_ == '\\') {
      escaped = true;
      if (!escape_sequence(what)) return false;
      continue;
    }
    const auto point =
        base::decode_utf8(std::string_view(at_, static_cast<std::size_t>(end_ - at_)));
    if (!point || point->value < 0x20) {
      return refuse("ST-5",
                    std::string(what) +
                        (point ? " holds an unescaped control character" : " is not valid UTF-8") +
                        " at header byte " + std::to_string(offset()));
    }
    at_ += point->bytes;
  }
  raw = {start, static_cast<std::size_t>(at_ - start)};
  ++at_;
  return true;
}

bool HeaderScanner::four_hex_digits(std::uint32_t& value) noexcept {
  if (end_ - at_ < 4) return false;
  value = 0;
  for (int i = 0; i < 4; ++i) {
    const std::uint32_t digit = hex_value(*at_++);
    if (digit > 15) return false;
    value = value << 4 | digit;
  }
  return true;
}

bool HeaderScanner::escape_sequence(std::string_view what) {
  const std::uint64_t start = offset();
  const auto bad = [&](std::string_view rule, std::string_view why) {
    return refuse(rule, std::string(what) + " holds " + std::string(why) + " at header byte " +
                            std::to_string(start));
  };
  ++at_;  // The backslash.
  if (at_ >= end_) return bad("ST-4", "half an escape");
  const char kind = *at_++;
  if (kind != 'u') {
    return std::memchr("\"\\/bfnrt", kind, 8) != nullptr ? true : bad("ST-4", "an unknown escape");
  }
  std::uint32_t unit = 0;
  if (!four_hex_digits(unit)) return bad("ST-4", "\\u without four hex digits");
  if (is_low_surrogate(unit)) return bad("ST-5", "a lone surrogate");
  if (!is_high_surrogate(unit)) return true;
  if (end_ - at_ < 2 || at_[0] != '\\' || at_[1] != 'u') return bad("ST-5", "a lone surrogate");
  at_ += 2;
  if (!four_hex_digits(unit)) return bad("ST-4", "\\u without four hex digits");
  return is_low_surrogate(unit) ? true : bad("ST-5", "a lone surrogate");
}

bool HeaderScanner::integer(std::uint64_t& value, std::string_view what, std::string_view name) {
  const auto bad = [&](std::string_view why) {
    return refuse("ST-8", std::string(what) + quote(name) +
                              " must be a plain unsigned integer below 2^64, found " + found() +
                              std::string(why));
  };
  if (!base::is_digit(peek())) return bad("");
  const char* const start = at_;
  const char* p = at_;
  value = 0;
  bool fits = true;
  for (; p < end_ && base::is_digit(*p); ++p) {
    fits &= base::multiply_by(value, 10);
    fits &= base::add_to(value, static_cast<std::uint64_t>(*p - '0'));
  }
  if (*start == '0' && p - start > 1) return bad(" (a leading zero)");
  if (!fits) return bad(" (too large)");
  if (p < end_ && (*p == '.' || *p == 'e' || *p == 'E')) return bad("");
  at_ = p;
  return true;
}

std::string unescape(std::string_view raw) {
  std::string text;
  text.reserve(raw.size());
  const auto unit_at = [raw](std::size_t at) {
    std::uint32_t unit = 0;
    for (std::size_t i = at; i < at + 4; ++i) unit = unit << 4 | hex_value(raw[i]);
    return unit;
  };
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '\\') {
      text += raw[i];
      continue;
    }
    const char kind = raw[++i];
    static constexpr std::string_view kLetters = "\"\\/bfnrt";
    static constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    if (kind != 'u') {
      text += kMeanings[kLetters.find(kind)];
      continue;
    }
    std::uint32_t value = unit_at(i + 1);
    i += 4;
    if (is_high_surrogate(value)) {
      value = 0x10000 + ((value - 0xd800) << 10) + (unit_at(i + 3) - 0xdc00);
      i += 6;
    }
    base::append_utf8(text, value);
  }
  return text;
}

}  // namespace ferrule::format
