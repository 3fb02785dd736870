// SPDX-License-Identifier: Apache-2.0
#pragma once

// The header of a safetensors file (rules: docs/rules/ST.md).
//
//   offset 0     8 bytes    N, little-endian: at most 100,000,000 (ST-2) and inside the file (ST-3)
//          8     N bytes    JSON: {"NAME": ENTRY, ..., "__metadata__": {"KEY": "TEXT", ...}}
//                           '{' first, white space after the last '}' (ST-4), UTF-8 (ST-5), no
//                           name twice (ST-6)
//          8+N   the rest   the data of all tensors
//
//   ENTRY = {"dtype": "F32", "shape": [2, 3], "data_offsets": [BEGIN, END]}
//
// The integers are plain and below 2^64 (ST-8, ST-9). BEGIN and END count from 8+N. END - BEGIN is
// the size that dtype and shape need (ST-10, ST-11), and the tensors cover the data without a hole,
// an overlap or a rest (ST-7). A writer orders tensors by descending rank of their dtype, then by
// name, and pads the JSON with spaces to a multiple of 8 bytes (ST-16).

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ferrule/dtype.hpp"
#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"
#include "ferrule/tensor_view.hpp"
#include "format/arena.hpp"
#include "format/name_index.hpp"

namespace ferrule::format {

/// The length of the header in the first eight bytes.
inline constexpr std::uint64_t kHeaderLengthBytes = 8;
inline constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // ST-2
inline constexpr std::string_view kMetadataName = "__metadata__";

using StringPairs = std::vector<std::pair<std::string, std::string>>;

/// A header that keeps every ST rule. Names without escapes point into the JSON that was parsed,
/// tensors into the data next to it; moving the header invalidates neither.
struct SafetensorsHeader {
  /// In the order of their data.
  std::vector<NamedTensor> tensors;
  NameIndex index;
  /// In the order of the file.
  StringPairs metadata;
  /// Whether there is a `__metadata__` at all.
  bool has_metadata = false;

  Arena<std::uint64_t> shapes;
  Arena<char> names;
};

/// The length of the header of a file that starts with `head` (at least nine bytes, or the whole
/// file) and has `file_bytes`: rules ST-1 to ST-3, and the first byte of ST-4.
Result<std::uint64_t> header_length(std::span<const std::byte> head, std::uint64_t file_bytes,
                                    const ReadLimits& limits);

/// Parses and checks a header of header_length() bytes (rules ST-4 to ST-15) in one pass; `data` is
/// all of the file after it, which is not touched. The two need not be adjacent in
/// memory. Fails with kCorrupt or kLimitExceeded; the message says which tensor.
Result<SafetensorsHeader> parse_safetensors_header(std::string_view json,
                                                   std::span<const std::byte> data,
                                                   const ReadLimits& limits);

/// The same for a whole file in one piece.
Result<SafetensorsHeader> parse_safetensors(std::span<const std::byte> file,
                                            const ReadLimits& limits);

/// What a header says of a tensor that is about to be written.
struct HeaderEntry {
  std::string_view name;
  Dtype dtype = Dtype::kF32;
  std::span<const std::uint64_t> shape;
};

struct EncodedHeader {
  /// The first bytes of the file: length, JSON, padding.
  std::string bytes;
  /// The entries in the order in which their data follow.
  std::vector<std::size_t> order;
  /// Size of all data.
  std::uint64_t data_bytes = 0;
};

/// Encodes as the reference does (ST-16): by descending dtype rank, then by name; `metadata` as
/// given, left out if empty unless `keep_empty_metadata`. Fails with kInvalidArgument (names
/// that are equal, reserved or no UTF-8; a shape without a size in bytes) or kLimitExceeded.
Result<EncodedHeader> encode_safetensors_header(
    std::span<const HeaderEntry> entries,
    std::span<const std::pair<std::string, std::string>> metadata,
    bool keep_empty_metadata = false);

}  // namespace ferrule::format
