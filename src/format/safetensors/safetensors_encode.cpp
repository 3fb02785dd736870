// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>

#include "base/checked.hpp"
#include "base/errors.hpp"
#include "base/utf8.hpp"
#include "ferrule/text.hpp"
#include "format/safetensors/safetensors_header.hpp"

namespace ferrule::format {
namespace {

/// As serde_json escapes: short forms where JSON has them, \u00xx for other controls, the rest
/// stays UTF-8.
void append_string(std::string& out, std::string_view text) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && c != '"' && c != '\\') {
      out += c;
      continue;
    }
    static constexpr std::string_view kMeanings = "\"\\\b\f\n\r\t";
    static constexpr std::string_view kLetters = "\"\\bfnrt";
    const auto kind = kMeanings.find(c);
    if (kind != std::string_view::npos) {
      out += '\\';
      out += kLetters[kind];
    } else {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  out += '"';
}

void append_number(std::string& out, std::uint64_t value) {
  std::array<char, 20> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  out.append(digits.data(), end);
}

void append_entry(std::string& out, const HeaderEntry& entry, std::uint64_t begin,
                  std::uint64_t end) {
  append_string(out, entry.name);
  out += ":{\"dtype\":\"";
  out += dtype_name(entry.dtype);
  out += "\",\"shape\":[";
  for (std::size_t i = 0; i < entry.shape.size(); ++i) {
    if (i != 0) out += ',';
    append_number(out, entry.shape[i]);
  }
  out += "],\"data_offsets\":[";
  append_number(out, begin);
  out += ',';
  append_number(out, end);
  out += "]},";
}

Result<void> append_metadata(std::string& out,
                             std::span<const std::pair<std::string, std::string>> metadata,
                             bool keep_empty) {
  if (metadata.empty() && !keep_empty) return {};
  append_string(out, kMetadataName);
  out += ":{";
  for (const auto& [key, value] : metadata) {
    if (!base::is_utf8(key) || !base::is_utf8(value)) {
      return base::invalid("ST-5", "the metadata at " + quote(key) + " is not valid UTF-8");
    }
    append_string(out, key);
    out += ':';
    append_string(out, value);
    out += ',';
  }
  if (metadata.empty()) out += '}';
  out.back() = '}';
  out += ',';
  return {};
}

/// ST-16: by descending dtype rank, then by name.
std::vector<std::size_t> writing_order(std::span<const HeaderEntry> entries) {
  std::vector<std::size_t> order(entries.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (entries[a].dtype != entries[b].dtype) return entries[a].dtype > entries[b].dtype;
    return entries[a].name < entries[b].name;
  });
  return order;
}

Result<void> check_names(std::span<const HeaderEntry> entries) {
  std::vector<std::string_view> names;
  names.reserve(entries.size());
  for (const auto& entry : entries) {
    if (entry.name == kMetadataName) {
      return base::invalid("ST-17", "a tensor cannot be called \"__metadata__\"");
    }
    if (!base::is_utf8(entry.name)) {
      return base::invalid("ST-5", "the tensor name " + quote(entry.name) + " is not valid UTF-8");
    }
    names.push_back(entry.name);
  }
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice == names.end()) return {};
  return base::invalid("ST-6", "two tensors are called " + quote(*twice));
}

}  // namespace

Result<EncodedHeader> encode_safetensors_header(
    std::span<const HeaderEntry> entries,
    std::span<const std::pair<std::string, std::string>> metadata, bool keep_empty_metadata) {
  if (auto named = check_names(entries); !named) return std::move(named).error();
  EncodedHeader header;
  header.order = writing_order(entries);
  std::string& out = header.bytes;
  std::size_t text = kHeaderLengthBytes + 64;
  for (const auto& entry : entries) text += entry.name.size() + 96;
  out.reserve(text);
  out.assign(kHeaderLengthBytes, '\0');
  out += '{';
  if (auto wrote = append_metadata(out, metadata, keep_empty_metadata); !wrote)
    return std::move(wrote).error();
  for (const auto position : header.order) {
    const auto& entry = entries[position];
    const auto bytes = byte_size(entry.dtype, entry.shape);
    const auto end = bytes ? base::checked_add(header.data_bytes, *bytes) : std::nullopt;
    if (!end) {
      return base::invalid(
          "ST-9", "tensor " + quote(entry.name) + " has no size in whole bytes below 2^64");
    }
    append_entry(out, entry, header.data_bytes, *end);
    header.data_bytes = *end;
  }
  if (out.back() == ',') out.pop_back();
  out += '}';
  while (out.size() % 8 != 0) out += ' ';
  std::uint64_t length = out.size() - kHeaderLengthBytes;
  if (length > kMaxHeaderBytes) {
    return base::over_limit("ST-2", "the header would have " + std::to_string(length) +
                                        " bytes, the format allows 100000000");
  }
  for (std::size_t i = 0; i < kHeaderLengthBytes; ++i, length >>= 8) {
    out[i] = static_cast<char>(length & 0xff);
  }
  return header;
}

}  // namespace ferrule::format
