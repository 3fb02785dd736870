// SPDX-License-Identifier: Apache-2.0
#include "format/safetensors/safetensors_header.hpp"

#include <algorithm>
#include <string>

#include "base/checked.hpp"
#include "base/errors.hpp"
#include "base/tensor_view_access.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "format/safetensors/header_entry.hpp"
#include "format/safetensors/header_scanner.hpp"

namespace ferrule::format {
namespace {

class HeaderParser {
 public:
  HeaderParser(std::string_view json, std::span<const std::byte> data, const ReadLimits& limits,
               SafetensorsHeader& out)
      : scan_(json), data_(data), limits_(limits), out_(out), entries_(scan_) {}

  /// True if the header is good; error() says why not.
  bool parse();
  Error& error() noexcept { return scan_.error(); }

 private:
  bool entry(std::string_view name);
  bool check_size(std::string_view name, const RawEntry& raw);
  bool add(std::string_view name, const RawEntry& raw);
  bool metadata();
  bool metadata_is_unique();
  bool tiles();
  bool put_in_data_order();
  void expect_entries(std::size_t first_entry_bytes);
  bool duplicate(std::string_view name) {
    return scan_.refuse("ST-6", "tensor " + quote(name) + " is in the header twice");
  }

  HeaderScanner scan_;
  std::span<const std::byte> data_;
  const ReadLimits& limits_;
  SafetensorsHeader& out_;
  EntryReader entries_;
  std::uint64_t covered_ = 0;
  bool in_data_order_ = true;
  bool metadata_seen_ = false;
};

bool HeaderParser::parse() {
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
    return scan_.refuse("ST-4",
                        "expected nothing after the header's object, found " + scan_.found());
  }
  std::size_t twice = 0;
  if (!out_.index.finish(out_.tensors, twice)) return duplicate(out_.tensors[twice].name);
  return put_in_data_order() && tiles();
}

void HeaderParser::expect_entries(std::size_t first_entry_bytes) {
  // Reserving is bounded by the bytes that are there, whatever the first entry looks like.
  const auto left = static_cast<std::size_t>(scan_.end() - scan_.at());
  const std::size_t guess = left / std::max(first_entry_bytes, EntryReader::kSmallest) + 2;
  const std::size_t rank = out_.tensors[0].tensor.shape().size();
  out_.tensors.reserve(guess + guess / 16);
  out_.index.expect(guess);
  out_.shapes.expect(std::min(guess * (rank + 1), left / 2 + 1));
}

bool HeaderParser::entry(std::string_view name) {
  RawEntry raw;
  return entries_.read(name, raw) && check_size(name, raw) && add(name, raw);
}

bool HeaderParser::check_size(std::string_view name, const RawEntry& raw) {
  // ST-9: elements first, then bits, as the reference multiplies: [2^60, 0] passes, [2^60, 2^60, 0]
  // does not.
  std::uint64_t bits = 1;
  bool fits = true;
  for (const auto extent : entries_.shape()) fits &= base::multiply_by(bits, extent);
  fits &= base::multiply_by(bits, bit_width(raw.dtype));
  if (!fits) {
    return scan_.refuse("ST-9", "the size of tensor " + quote(name) + " exceeds 64 bits");
  }
  if (bits % 8 != 0) {
    return scan_.refuse("ST-11", "tensor " + quote(name) + " of dtype " +
                                     std::string(dtype_name(raw.dtype)) + " has " +
                                     std::to_string(bits) + " bits, no whole number of bytes");
  }
  if (raw.end < raw.begin) {
    return scan_.refuse("ST-7", "tensor " + quote(name) + " starts at " +
                                    std::to_string(raw.begin) + " and ends before that, at " +
                                    std::to_string(raw.end));
  }
  if (raw.end - raw.begin != bits / 8) {
    return scan_.refuse("ST-10",
                        "tensor " + quote(name) + " has " + std::to_string(raw.end - raw.begin) +
                            " bytes of data, its dtype and shape need " + std::to_string(bits / 8));
  }
  if (raw.end > data_.size()) {
    return scan_.refuse("ST-7",
                        "tensor " + quote(name) + " ends at byte " + std::to_string(raw.end) +
                            " of the data, but the file has only " + std::to_string(data_.size()) +
                            " (truncated, or still being written?)");
  }
  return true;
}

bool HeaderParser::add(std::string_view name, const RawEntry& raw) {
  if (out_.tensors.size() >= limits_.tensors) {
    return scan_.refuse("ST-15",
                        "the file has more than " + std::to_string(limits_.tensors) +
                            " tensors, the limit in force",
                        ErrorCode::kLimitExceeded);
  }
  in_data_order_ &= raw.begin == covered_;
  covered_ = raw.end;
  out_.tensors.push_back({name, TensorViewAccess::unchecked(
                                    raw.dtype, out_.shapes.copy(entries_.shape()),
                                    data_.subspan(static_cast<std::size_t>(raw.begin),
                                                  static_cast<std::size_t>(raw.end - raw.begin)))});
  return out_.index.add_last(out_.tensors) || duplicate(name);
}

bool HeaderParser::metadata() {
  if (metadata_seen_) return scan_.refuse("ST-6", "the header has \"__metadata__\" twice");
  metadata_seen_ = true;
  if (!scan_.expect(':', "after \"__metadata__\"")) return false;
  // MLX writes null into every file without metadata.
  if (scan_.take_word("null")) return true;
  out_.has_metadata = true;
  if (!scan_.take('{')) {
    return scan_.refuse("ST-14", "\"__metadata__\" must be an object, found " + scan_.found());
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
      return scan_.refuse("ST-14", "the metadata's value for " + quote(key) +
                                       " must be a string, found " + scan_.found());
    }
    if (!scan_.string(value, value_escaped, "a value of the metadata")) return false;
    if (out_.metadata.size() >= limits_.tensors) {
      return scan_.refuse("ST-15",
                          "the metadata has more than " + std::to_string(limits_.tensors) +
                              " pairs, the limit in force",
                          ErrorCode::kLimitExceeded);
    }
    out_.metadata.emplace_back(key_escaped ? unescape(key) : std::string(key),
                               value_escaped ? unescape(value) : std::string(value));
  } while (scan_.take(','));
  return scan_.expect('}', "or ',' after a pair of the metadata") && metadata_is_unique();
}

bool HeaderParser::metadata_is_unique() {
  if (out_.metadata.size() < 2) return true;
  std::vector<std::string_view> keys;
  keys.reserve(out_.metadata.size());
  for (const auto& [key, value] : out_.metadata) keys.push_back(key);
  std::sort(keys.begin(), keys.end());
  const auto twice = std::adjacent_find(keys.begin(), keys.end());
  if (twice == keys.end()) return true;
  return scan_.refuse("ST-6", "the metadata has the key " + quote(*twice) + " twice");
}

bool HeaderParser::put_in_data_order() {
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

bool HeaderParser::tiles() {
  if (!in_data_order_) {
    covered_ = 0;
    for (const auto& [name, tensor] : out_.tensors) {
      const auto begin = static_cast<std::uint64_t>(tensor.bytes().data() - data_.data());
      if (begin != covered_) {
        return scan_.refuse("ST-7", "tensor " + quote(name) + " starts at byte " +
                                        std::to_string(begin) + " of the data, expected " +
                                        std::to_string(covered_) +
                                        (begin > covered_ ? " (a hole)" : " (an overlap)"));
      }
      covered_ += tensor.bytes().size();
    }
  }
  if (covered_ == data_.size()) return true;
  return scan_.refuse("ST-7", "the tensors cover " + std::to_string(covered_) +
                                  " bytes of data, but the file has " +
                                  std::to_string(data_.size()));
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
  // EntryReader relies on this: after a digit or a comma there is always another byte.
  if (json.empty() || std::string_view("} \n\t\r").find(json.back()) == std::string_view::npos) {
    return base::corrupt(
        "ST-4", "the header must end in '}' and white space, found " +
                    (json.empty() ? std::string("nothing") : quote(json.substr(json.size() - 1))));
  }
  SafetensorsHeader header;
  HeaderParser parser(json, data, limits, header);
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
