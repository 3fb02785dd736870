// SPDX-License-Identifier: Apache-2.0
#include "format/safetensors/header_entry.hpp"

#include <cstring>
#include <string>
#include <utility>

#include "base/ascii.hpp"
#include "ferrule/text.hpp"

namespace ferrule::format {
namespace {

template <std::size_t N>
bool starts_with(const char* p, const char (&literal)[N]) noexcept {
  return std::memcmp(p, literal, N - 1) == 0;
}

}  // namespace

bool EntryReader::read(std::string_view name, RawEntry& out) {
  return canonical(out) || any(name, out);
}

/// The form that every known writer gives an entry: no white space, no escapes, members in the
/// order dtype, shape, data_offsets. Reads on from the name. If the text is anything else, good
/// or bad, it reads nothing and any() decides.
bool EntryReader::canonical(RawEntry& raw) noexcept {
  const char* p = scan_.at();
  const char* const end = scan_.end();
  if (static_cast<std::size_t>(end - p) < kSmallest) return false;
  if (!starts_with(p, ":{\"dtype\":\"")) return false;
  p += 11;
  std::size_t length = 2;
  while (length < 12 && p[length] != '"') ++length;
  const std::string_view dtype_text(p, length);
  if (dtype_text != last_dtype_text_) {  // Neighbors mostly share their dtype.
    const auto known = dtype_from_name(dtype_text);
    if (!known) return false;
    last_dtype_ = *known;
    last_dtype_text_ = dtype_text;
  }
  raw.dtype = last_dtype_;
  p += length;

  // From here on each look is bounded by what the one before has seen: after a digit or a comma
  // there is another byte, and literals are compared only if they fit.
  const auto number = [&p](std::uint64_t& value) noexcept {
    const char* const start = p;
    std::uint64_t n = 0;
    while (base::is_digit(*p)) n = n * 10 + static_cast<std::uint64_t>(*p++ - '0');
    value = n;
    const auto digits = p - start;
    return digits == 1 || (digits > 1 && digits < 20 && *start != '0');
  };
  if (end - p < 24 || !starts_with(p, "\",\"shape\":[")) return false;
  p += 11;
  numbers_.clear();
  if (*p != ']') {
    while (true) {
      std::uint64_t extent = 0;
      if (!number(extent)) return false;
      numbers_.push_back(extent);
      if (*p != ',') break;
      ++p;
    }
  }
  if (end - p < 24 || !starts_with(p, "],\"data_offsets\":[")) return false;
  p += 18;
  if (!number(raw.begin) || *p != ',') return false;
  ++p;
  if (!number(raw.end) || end - p < 2 || p[0] != ']' || p[1] != '}') return false;
  scan_.move_to(p + 2);
  return true;
}

bool EntryReader::any(std::string_view name, RawEntry& raw) {
  if (!scan_.expect(':', "after a tensor name")) return false;
  if (!scan_.take('{')) {
    return scan_.refuse("ST-12", "the entry of tensor " + quote(name) +
                                     " must be an object, found " + scan_.found());
  }
  unsigned seen = 0;
  std::vector<std::uint64_t> extents;
  if (!scan_.take('}')) {
    do {
      std::string_view text;
      bool escaped = false;
      if (!scan_.string(text, escaped, "the name of an entry's member")) return false;
      const std::string key = escaped ? unescape(text) : std::string(text);
      if (!scan_.expect(':', "after a member's name")) return false;
      if (!member(name, key, seen, raw)) return false;
      if (key == "shape") extents = numbers_;
    } while (scan_.take(','));
    if (!scan_.expect('}', "or ',' after a member of an entry")) return false;
  }
  if (seen != 7) {
    return scan_.refuse("ST-12", "the entry of tensor " + quote(name) + " does not have \"" +
                                     ((seen & 1) == 0   ? "dtype"
                                      : (seen & 2) == 0 ? "shape"
                                                        : "data_offsets") +
                                     "\"");
  }
  numbers_ = std::move(extents);
  return true;
}

bool EntryReader::member(std::string_view name, std::string_view key, unsigned& seen,
                         RawEntry& raw) {
  const auto first = [&](unsigned bit) {
    if ((seen & bit) == 0) {
      seen |= bit;
      return true;
    }
    return scan_.refuse("ST-6",
                        "the entry of tensor " + quote(name) + " has " + quote(key) + " twice");
  };
  if (key == "dtype") return first(1) && dtype(name, raw.dtype);
  if (key == "shape") return first(2) && integers("an extent of tensor ", name);
  if (key == "data_offsets") {
    if (!first(4) || !integers("an offset of tensor ", name)) return false;
    if (numbers_.size() != 2) {
      return scan_.refuse("ST-12", "data_offsets of tensor " + quote(name) +
                                       " must be two integers, found " +
                                       std::to_string(numbers_.size()));
    }
    raw.begin = numbers_[0];
    raw.end = numbers_[1];
    return true;
  }
  return scan_.refuse("ST-12", "the entry of tensor " + quote(name) + " has a member " +
                                   quote(key) + "; only dtype, shape and data_offsets are allowed");
}

bool EntryReader::dtype(std::string_view name, Dtype& out) {
  if (scan_.peek() != '"') {
    return scan_.refuse(
        "ST-13", "dtype of tensor " + quote(name) + " must be a string, found " + scan_.found());
  }
  std::string_view raw;
  bool escaped = false;
  if (!scan_.string(raw, escaped, "a dtype")) return false;
  const std::string text = escaped ? unescape(raw) : std::string(raw);
  const auto known = dtype_from_name(text);
  if (!known) {
    return scan_.refuse("ST-13", "tensor " + quote(name) + " has the unknown dtype " + quote(text));
  }
  out = *known;
  return true;
}

bool EntryReader::integers(std::string_view what, std::string_view name) {
  numbers_.clear();
  if (!scan_.take('[')) {
    return scan_.refuse(
        "ST-12", std::string(what) + quote(name) + " must be in an array, found " + scan_.found());
  }
  if (scan_.take(']')) return true;
  do {
    std::uint64_t value = 0;
    if (!scan_.integer(value, what, name)) return false;
    numbers_.push_back(value);
  } while (scan_.take(','));
  return scan_.expect(']', "or ',' in an array of integers");
}

}  // namespace ferrule::format
