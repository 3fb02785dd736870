// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/utf8.hpp"
#include "ferrule/json.hpp"

namespace ferrule {
namespace {

/// Python's float.__repr__: the shortest digits that read back the same, as a plain decimal where
/// the exponent is in [-4, 16).
std::string python_repr(double value) {
  std::array<char, 40> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                 std::chars_format::scientific);
  const std::string_view text(buffer.data(), static_cast<std::size_t>(end.ptr - buffer.data()));
  const std::size_t e = text.find('e');
  std::string digits;
  std::string out;
  for (const char c : text.substr(0, e)) {
    if (c == '-') out += '-';
    if (c >= '0' && c <= '9') digits += c;
  }
  const int exponent = std::atoi(std::string(text.substr(e + 1)).c_str());
  const int count = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    out += digits[0];
    if (count > 1) out += "." + digits.substr(1);
    const std::string size = std::to_string(std::abs(exponent));
    return out + (exponent < 0 ? "e-" : "e+") + (size.size() < 2 ? "0" : "") + size;
  }
  if (exponent < 0)
    return out + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  const auto whole = static_cast<std::size_t>(exponent) + 1;
  if (digits.size() <= whole) return out + digits + std::string(whole - digits.size(), '0') + ".0";
  return out + digits.substr(0, whole) + "." + digits.substr(whole);
}

void append_unit(std::string& out, unsigned unit) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) out += kHex[(unit >> shift) & 0xfU];
}

/// A code point as JSON text; `ascii` escapes all that is not printable ASCII.
void append_escaped(std::string& out, char32_t c, bool ascii) {
  constexpr std::string_view kShort = "\b\f\n\r\t\"\\";
  constexpr std::string_view kLetter = "bfnrt\"\\";
  if (c < 0x80) {
    const auto at = kShort.find(static_cast<char>(c));
    if (at != std::string_view::npos) {
      out += '\\';
      out += kLetter[at];
      return;
    }
  }
  const bool plain = c >= 0x20 && (c < 0x7f || !ascii);
  if (plain) {
    base::append_utf8(out, c);
  } else if (c < 0x10000) {
    append_unit(out, static_cast<unsigned>(c));
  } else {
    const auto pair = static_cast<unsigned>(c) - 0x10000U;
    append_unit(out, 0xd800U + (pair >> 10));
    append_unit(out, 0xdc00U + (pair & 0x3ffU));
  }
}

void append_string(std::string& out, std::string_view text, bool ascii) {
  out += '"';
  while (!text.empty()) {
    // Only a caller's own string can hold bytes that are not UTF-8: they become U+FFFD, so that
    // the text stays valid.
    const auto point = base::decode_utf8(text).value_or(base::CodePoint{0xfffd, 1});
    append_escaped(out, point.value, ascii);
    text.remove_prefix(point.bytes);
  }
  out += '"';
}

struct Style {
  bool python;
  int indent;
  bool sort_keys;
};

class Dumper {
 public:
  explicit Dumper(Style style) : style_(style) {}

  void value(const Json& json, int level) {
    if (const auto* object = json.if_object()) {
      members(*object, level);
    } else if (const auto* array = json.if_array()) {
      elements(*array, level);
    } else if (const auto* text = json.if_string()) {
      append_string(out_, *text, style_.python);
    } else if (const auto* flag = json.if_bool()) {
      out_ += *flag ? "true" : "false";
    } else if (const auto* integer = json.if_int64()) {
      out_ += std::to_string(*integer);
    } else if (const auto* digits = json.if_big_integer()) {
      out_ += *digits;
    } else if (const auto* real = json.if_float()) {
      number(*real);
    } else {
      out_ += "null";
    }
  }
  std::string take() { return std::move(out_); }

 private:
  void number(double value) {
    if (std::isfinite(value)) {
      out_ += python_repr(value);
    } else if (!style_.python) {
      out_ += "null";
    } else {
      out_ += std::isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity";
    }
  }
  void next(bool first, int level) {
    if (!first) out_ += !style_.python || style_.indent >= 0 ? "," : ", ";
    line(level + 1);
  }
  void line(int level) {
    if (!style_.python || style_.indent < 0) return;
    out_ += '\n';
    out_.append(static_cast<std::size_t>(level) * static_cast<std::size_t>(style_.indent), ' ');
  }
  void elements(const Json::Array& array, int level) {
    out_ += '[';
    for (std::size_t i = 0; i < array.size(); ++i) {
      next(i == 0, level);
      value(array[i], level + 1);
    }
    if (!array.empty()) line(level);
    out_ += ']';
  }
  void members(const Json::Object& object, int level) {
    std::vector<const Json::Member*> order;
    order.reserve(object.size());
    for (const auto& member : object) order.push_back(&member);
    if (style_.sort_keys) {
      // Byte order of UTF-8 is code point order.
      std::stable_sort(order.begin(), order.end(),
                       [](const auto* a, const auto* b) { return a->first < b->first; });
    }
    out_ += '{';
    for (std::size_t i = 0; i < order.size(); ++i) {
      next(i == 0, level);
      append_string(out_, order[i]->first, style_.python);
      out_ += style_.python ? ": " : ":";
      value(order[i]->second, level + 1);
    }
    if (!object.empty()) line(level);
    out_ += '}';
  }

  Style style_;
  std::string out_;
};

}  // namespace

std::string Json::dump() const {
  Dumper dumper({.python = false, .indent = -1, .sort_keys = false});
  dumper.value(*this, 0);
  return dumper.take();
}

std::string Json::dump_python(int indent, bool sort_keys) const {
  Dumper dumper({.python = true, .indent = indent, .sort_keys = sort_keys});
  dumper.value(*this, 0);
  return dumper.take();
}

}  // namespace ferrule
