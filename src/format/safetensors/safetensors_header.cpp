// SPDX-License-Identifier: Apache-2.0
#include "format/safetensors/safetensors_header.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "base/ascii.hpp"
#include "base/checked.hpp"
#include "base/errors.hpp"
#include "base/tensor_view_access.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "format/safetensors/header_scanner.hpp"

namespace ferrule::format {
namespace {

/// No entry is shorter than `"":{"dtype":"U8","shape":[],"data_offsets":[0,1]}`.
constexpr std::size_t kSmallestEntry = 48;

/// What an entry says, before it is checked.
struct RawEntry {
  Dtype dtype = Dtype::kF32;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

template <std::size_t N>
bool starts_with(const char* p, const char (&literal)[N]) noexcept {
  return std::memcmp(p, literal, N - 1) == 0;
}

class Parser {
 public:
  Parser(std::string_view json, std::span<const std::byte> data, const ReadLimits& limits,
         SafetensorsHeader& out)
      : scan_(json), data_(data), limits_(limits), out_(out) {}

  /// True where the header is good; error() says why not.
  bool parse();
  Error& error() noexcept { return scan_.error(); }

 private:
  bool entry(std::string_view name);
  bool canonical_entry(RawEntry& raw) noexcept;
  bool any_entry(std::string_view name, RawEntry& raw);
  bool member(std::string_view name, std::string_view key, unsigned& seen, RawEntry& raw);
  bool dtype(std::string_view name, Dtype& out);
  bool integers(std::string_view what, std::string_view name);
  bool check_size(std::string_view name, const RawEntry& raw);
  bool add(std::string_view name, const RawEntry& raw);
  bool metadata();
  bool metadata_is_unique();
  bool tiles();
  bool put_in_data_order();
  void expect_entries(std::size_t first_entry_bytes);
  bool duplicate(std::string_view name) {
    return scan_.fail("ST-6", "tensor " + quote(name) + " stands in the header twice");
  }

  HeaderScanner scan_;
  std::span<const std::byte> data_;
  const ReadLimits& limits_;
  SafetensorsHeader& out_;
  /// The numbers of the array read last; kept to be filled again without allocating.
  std::vector<std::uint64_t> numbers_;
  std::string_view last_dtype_text_;
  Dtype last_dtype_ = Dtype::kF32;
  std::uint64_t covered_ = 0;
  bool in_data_order_ = true;
  bool metadata_seen_ = false;
};

bool Parser::parse() {
  if (!scan_.expect('{', "at the start of the header")) return false;
  if (!scan_.take('}')) {
    do {
      std::string_view raw;
      bool escaped = false;
      if (!scan_.string(raw, escaped, "a tensor name")) return false;
      std::string_view name = raw;
      if (escaped) {
        const std::string text = unescape(raw);
        const auto kept = out_.names.copy(text);
        name = {kept.data(), kept.size()};
      }
      const char* const start = raw.data();
      if (name == kMetadataName) {
        if (!metadata()) return false;
        continue;
      }
      if (!entry(name)) return false;
      if (out_.tensors.size() == 1) expect_entries(static_cast<std::size_t>(scan_.at() - start));
    } while (scan_.take(','));
    if (!scan_.expect('}', "or ',' after an entry of the header")) return false;
  }
  scan_.skip_space();
  if (scan_.at() != scan_.end()) {
    return scan_.fail("ST-4", "expected nothing after the header's object, found " + scan_.found());
  }
  std::size_t twice = 0;
  if (!out_.index.finish(out_.tensors, twice)) return duplicate(out_.tensors[twice].name);
  return put_in_data_order() && tiles();
}

void Parser::expect_entries(std::size_t first_entry_bytes) {
  // Reserving is bounded by the bytes that are there, whatever the first entry looks like.
  const auto left = static_cast<std::size_t>(scan_.end() - scan_.at());
  const std::size_t guess = left / std::max(first_entry_bytes, kSmallestEntry) + 2;
  const std::size_t rank = out_.tensors[0].tensor.shape().size();
  out_.tensors.reserve(guess + guess / 16);
  out_.index.expect(guess);
  out_.shapes.expect(std::min(guess * (rank + 1), left / 2 + 1));
}

bool Parser::entry(std::string_view name) {
  RawEntry raw;
  if (!canonical_entry(raw) && !any_entry(name, raw)) return false;
  return check_size(name, raw) && add(name, raw);
}

/// The form that every known writer gives an entry: no white space, no escapes, members in the
/// order dtype, shape, data_offsets. Reads on from the name. Where the text is anything else, good
/// or bad, it reads nothing and any_entry() decides.
bool Parser::canonical_entry(RawEntry& raw) noexcept {
  const char* p = scan_.at();
  const char* const end = scan_.end();
  if (static_cast<std::size_t>(end - p) < kSmallestEntry) return false;
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

  // From here on each look is bounded by what the one before has seen: behind a digit or a comma
  // there is another byte, and literals are compared only where they fit.
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

bool Parser::any_entry(std::string_view name, RawEntry& raw) {
  if (!scan_.expect(':', "after a tensor name")) return false;
  if (!scan_.take('{')) {
    return scan_.fail("ST-12", "the entry of tensor " + quote(name) + " must be an object, found " +
                                   scan_.found());
  }
  unsigned seen = 0;
  std::vector<std::uint64_t> shape;
  if (!scan_.take('}')) {
    do {
      std::string_view text;
      bool escaped = false;
      if (!scan_.string(text, escaped, "the name of an entry's member")) return false;
      const std::string key = escaped ? unescape(text) : std::string(text);
      if (!scan_.expect(':', "after a member's name")) return false;
      if (!member(name, key, seen, raw)) return false;
      if (key == "shape") shape = numbers_;
    } while (scan_.take(','));
    if (!scan_.expect('}', "or ',' after a member of an entry")) return false;
  }
  if (seen != 7) {
    return scan_.fail("ST-12", "the entry of tensor " + quote(name) + " lacks \"" +
                                   ((seen & 1) == 0   ? "dtype"
                                    : (seen & 2) == 0 ? "shape"
                                                      : "data_offsets") +
                                   "\"");
  }
  numbers_ = std::move(shape);
  return true;
}

bool Parser::member(std::string_view name, std::string_view key, unsigned& seen, RawEntry& raw) {
  const auto first = [&](unsigned bit) {
    if ((seen & bit) == 0) {
      seen |= bit;
      return true;
    }
    return scan_.fail("ST-6",
                      "the entry of tensor " + quote(name) + " has " + quote(key) + " twice");
  };
  if (key == "dtype") return first(1) && dtype(name, raw.dtype);
  if (key == "shape") return first(2) && integers("an extent of tensor ", name);
  if (key == "data_offsets") {
    if (!first(4) || !integers("an offset of tensor ", name)) return false;
    if (numbers_.size() != 2) {
      return scan_.fail("ST-12", "data_offsets of tensor " + quote(name) +
                                     " must be two integers, found " +
                                     std::to_string(numbers_.size()));
    }
    raw.begin = numbers_[0];
    raw.end = numbers_[1];
    return true;
  }
  return scan_.fail("ST-12", "the entry of tensor " + quote(name) + " has a member " + quote(key) +
                                 "; it may have dtype, shape and data_offsets only");
}

bool Parser::dtype(std::string_view name, Dtype& out) {
  if (scan_.peek() != '"') {
    return scan_.fail(
        "ST-13", "dtype of tensor " + quote(name) + " must be a string, found " + scan_.found());
  }
  std::string_view raw;
  bool escaped = false;
  if (!scan_.string(raw, escaped, "a dtype")) return false;
  const std::string text = escaped ? unescape(raw) : std::string(raw);
  const auto known = dtype_from_name(text);
  if (!known) {
    return scan_.fail("ST-13", "tensor " + quote(name) + " has the unknown dtype " + quote(text));
  }
  out = *known;
  return true;
}

bool Parser::integers(std::string_view what, std::string_view name) {
  numbers_.clear();
  if (!scan_.take('[')) {
    return scan_.fail("ST-12", std::string(what) + quote(name) + " must stand in an array, found " +
                                   scan_.found());
  }
  if (scan_.take(']')) return true;
  do {
    std::uint64_t value = 0;
    if (!scan_.integer(value, what, name)) return false;
    numbers_.push_back(value);
  } while (scan_.take(','));
  return scan_.expect(']', "or ',' in an array of integers");
}

bool Parser::check_size(std::string_view name, const RawEntry& raw) {
  // ST-9: elements first, then bits, as the reference multiplies: [2^60, 0] passes, [2^60, 2^60, 0]
  // does not.
  std::uint64_t bits = 1;
  bool overflow = false;
  for (const auto extent : numbers_) overflow |= __builtin_mul_overflow(bits, extent, &bits);
  overflow |= __builtin_mul_overflow(bits, std::uint64_t{bit_width(raw.dtype)}, &bits);
  if (overflow) {
    return scan_.fail("ST-9", "the size of tensor " + quote(name) + " exceeds 64 bits");
  }
  if (bits % 8 != 0) {
    return scan_.fail("ST-11", "tensor " + quote(name) + " of dtype " +
                                   std::string(dtype_name(raw.dtype)) + " has " +
                                   std::to_string(bits) + " bits, no whole number of bytes");
  }
  if (raw.end < raw.begin) {
    return scan_.fail("ST-7", "tensor " + quote(name) + " starts at " + std::to_string(raw.begin) +
                                  " and ends before that, at " + std::to_string(raw.end));
  }
  if (raw.end - raw.begin != bits / 8) {
    return scan_.fail("ST-10",
                      "tensor " + quote(name) + " has " + std::to_string(raw.end - raw.begin) +
                          " bytes of data, its dtype and shape need " + std::to_string(bits / 8));
  }
  if (raw.end > data_.size()) {
    return scan_.fail("ST-7", "tensor " + quote(name) + " ends at byte " + std::to_string(raw.end) +
                                  " of the data, but the file has only " +
                                  std::to_string(data_.size()) +
                                  " (truncated, or still being written?)");
  }
  return true;
}

bool Parser::add(std::string_view name, const RawEntry& raw) {
  if (out_.tensors.size() >= limits_.tensors) {
    return scan_.fail("ST-15",
                      "the file has more than " + std::to_string(limits_.tensors) +
                          " tensors, the limit in force",
                      ErrorCode::kLimitExceeded);
  }
  in_data_order_ &= raw.begin == covered_;
  covered_ = raw.end;
  out_.tensors.push_back({name, TensorViewAccess::unchecked(
                                    raw.dtype, out_.shapes.copy(numbers_),
                                    data_.subspan(static_cast<std::size_t>(raw.begin),
                                                  static_cast<std::size_t>(raw.end - raw.begin)))});
  return out_.index.add_last(out_.tensors) || duplicate(name);
}

bool Parser::metadata() {
  if (metadata_seen_) return scan_.fail("ST-6", "the header has \"__metadata__\" twice");
  metadata_seen_ = true;
  if (!scan_.expect(':', "after \"__metadata__\"")) return false;
  // MLX writes null into every file without metadata.
  if (scan_.take_word("null")) return true;
  out_.has_metadata = true;
  if (!scan_.take('{')) {
    return scan_.fail("ST-14", "\"__metadata__\" must be an object, found " + scan_.found());
  }
  if (scan_.take('}')) return true;
  do {
    std::string_view key;
    std::string_view value;
    bool key_escaped = false;
    bool value_escaped = false;
    if (!scan_.string(key, key_escaped, "a key of the metadata")) return false;
    if (!scan_.expect(':', "after a key of the metadata")) return false;
    if (scan_.peek() != '"') {
      return scan_.fail("ST-14", "the metadata's value for " + quote(key) +
                                     " must be a string, found " + scan_.found());
    }
    if (!scan_.string(value, value_escaped, "a value of the metadata")) return false;
    if (out_.metadata.size() >= limits_.tensors) {
      return scan_.fail("ST-15",
                        "the metadata has more than " + std::to_string(limits_.tensors) +
                            " pairs, the limit in force",
                        ErrorCode::kLimitExceeded);
    }
    out_.metadata.emplace_back(key_escaped ? unescape(key) : std::string(key),
                               value_escaped ? unescape(value) : std::string(value));
  } while (scan_.take(','));
  return scan_.expect('}', "or ',' after a pair of the metadata") && metadata_is_unique();
}

bool Parser::metadata_is_unique() {
  if (out_.metadata.size() < 2) return true;
  std::vector<std::string_view> keys;
  keys.reserve(out_.metadata.size());
  for (const auto& [key, value] : out_.metadata) keys.push_back(key);
  std::sort(keys.begin(), keys.end());
  const auto twice = std::adjacent_find(keys.begin(), keys.end());
  if (twice == keys.end()) return true;
  return scan_.fail("ST-6", "the metadata has the key " + quote(*twice) + " twice");
}

bool Parser::put_in_data_order() {
  if (in_data_order_) return true;
  std::stable_sort(out_.tensors.begin(), out_.tensors.end(),
                   [](const NamedTensor& a, const NamedTensor& b) {
                     const auto x = a.tensor.bytes();
                     const auto y = b.tensor.bytes();
                     if (x.data() != y.data()) return x.data() < y.data();
                     return x.size() < y.size();
                   });
  out_.index = NameIndex();
  std::size_t twice = 0;
  return out_.index.build(out_.tensors, twice) || duplicate(out_.tensors[twice].name);
}

bool Parser::tiles() {
  if (!in_data_order_) {
    covered_ = 0;
    for (const auto& [name, tensor] : out_.tensors) {
      const auto begin = static_cast<std::uint64_t>(tensor.bytes().data() - data_.data());
      if (begin != covered_) {
        return scan_.fail("ST-7", "tensor " + quote(name) + " starts at byte " +
                                      std::to_string(begin) + " of the data, expected " +
                                      std::to_string(covered_) +
                                      (begin > covered_ ? " (a hole)" : " (an overlap)"));
      }
      covered_ += tensor.bytes().size();
    }
  }
  if (covered_ == data_.size()) return true;
  return scan_.fail("ST-7", "the tensors cover " + std::to_string(covered_) +
                                " bytes of data, but the file has " + std::to_string(data_.size()));
}

}  // namespace

Result<std::uint64_t> header_length(std::span<const std::byte> head, std::uint64_t file_bytes,
                                    const ReadLimits& limits) {
  if (file_bytes < kHeaderLengthBytes || head.size() < kHeaderLengthBytes) {
    return base::corrupt("ST-1", file_bytes == 0 ? "the file is empty"
                                                 : "the file has " + std::to_string(file_bytes) +
                                                       " bytes, a safetensors file has at least 8");
  }
  std::uint64_t length = 0;
  for (int i = 7; i >= 0; --i) {
    length = length << 8 | std::to_integer<std::uint64_t>(head[static_cast<std::size_t>(i)]);
  }
  if (length > kMaxHeaderBytes) {
    return base::corrupt("ST-2", "the header would have " + std::to_string(length) +
                                     " bytes, more than the 100000000 that the format allows");
  }
  if (length > limits.header_bytes) {
    return base::over_limit("ST-2", "the header has " + std::to_string(length) +
                                        " bytes, the limit in force is " +
                                        std::to_string(limits.header_bytes));
  }
  if (length > file_bytes - kHeaderLengthBytes) {
    return base::corrupt("ST-3", "the header would have " + std::to_string(length) +
                                     " bytes, but the file ends after " +
                                     std::to_string(file_bytes - kHeaderLengthBytes) +
                                     " (truncated?)");
  }
  if (length == 0) return base::corrupt("ST-4", "the header must start with '{', found nothing");
  if (head.size() > kHeaderLengthBytes && head[kHeaderLengthBytes] != std::byte{'{'}) {
    return base::corrupt("ST-4",
                         "the header must start with '{', found byte " +
                             std::to_string(std::to_integer<int>(head[kHeaderLengthBytes])));
  }
  return length;
}

Result<SafetensorsHeader> parse_safetensors_header(std::string_view json,
                                                   std::span<const std::byte> data,
                                                   const ReadLimits& limits) {
  // canonical_entry() relies on this: behind a digit or a comma there is always another byte.
  if (json.empty() || std::string_view("} \n\t\r").find(json.back()) == std::string_view::npos) {
    return base::corrupt(
        "ST-4", "the header must end in '}' and white space, found " +
                    (json.empty() ? std::string("nothing") : quote(json.substr(json.size() - 1))));
  }
  SafetensorsHeader header;
  Parser parser(json, data, limits, header);
  if (!parser.parse()) return std::move(parser.error());
  return header;
}

Result<SafetensorsHeader> parse_safetensors(std::span<const std::byte> file,
                                            const ReadLimits& limits) {
  FERRULE_TRY(const std::uint64_t length, header_length(file, file.size(), limits));
  const auto header_bytes = static_cast<std::size_t>(length);
  const std::string_view json(reinterpret_cast<const char*>(file.data()) + kHeaderLengthBytes,
                              header_bytes);
  return parse_safetensors_header(json, file.subspan(kHeaderLengthBytes + header_bytes), limits);
}

}  // namespace ferrule::format
