// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "ferrule/result.hpp"

namespace ferrule::format {

/// What a GGUF file says before its data. Rules EX-13 to EX-15 (docs/rules/EX.md).
///
///   "GGUF", version 3 (u32), tensors (u64), keys (u64)
///   a key: name, type (u32), value        a name: length (u64), bytes
///   a tensor: name, dimensions (u32), extents (u64 each, fastest first), type (u32), offset (u64)
///   zeros up to general.alignment, then the data, each tensor at a multiple of it
struct GgufTensor {
  std::string name;
  /// Fastest first, the reverse of a shape.
  std::vector<std::uint64_t> extents;
  std::uint32_t type = 0;
  /// From the start of the file; the data lie inside it.
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

/// Integers of any width, floats, booleans, texts, and arrays of integers. Other arrays are read
/// over, and are monostate.
using GgufValue = std::variant<std::monostate, std::int64_t, double, bool, std::string,
                               std::vector<std::int64_t>>;

struct GgufKey {
  std::string name;
  GgufValue value;
};

/// The numbers of tensor types that adapters use.
enum GgufType : std::uint32_t {
  kGgufF32 = 0,
  kGgufF16 = 1,
  kGgufQ8_0 = 8,
  kGgufBF16 = 30,
};

struct GgufHeader {
  std::vector<GgufKey> keys;
  std::vector<GgufTensor> tensors;

  const GgufValue* find(std::string_view key) const noexcept;
  /// "" if there is no such text.
  std::string text(std::string_view key) const;
  std::optional<double> number(std::string_view key) const;
};

/// Reads the header of a whole file in memory and checks that all tensors lie inside it. Nothing is
/// allocated by a number of the file that the file is not long enough for. Fails with kCorrupt,
/// kUnsupported or kLimitExceeded.
Result<GgufHeader> parse_gguf(std::span<const std::byte> file);

/// Bytes of `count` elements of a type, or nullopt for a type that is not known here, or if a row
/// of `row` elements is not a whole number of blocks.
std::optional<std::uint64_t> gguf_bytes(std::uint32_t type, std::uint64_t row, std::uint64_t count);

/// The bytes before the data, padded to 32. Offsets of `tensors` are filled in, from the start of
/// the file.
std::vector<std::byte> encode_gguf(std::span<const GgufKey> keys, std::span<GgufTensor> tensors);

inline constexpr std::uint64_t kGgufAlignment = 32;

}  // namespace ferrule::format
