// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "ferrule/dtype.hpp"
#include "format/safetensors/header_scanner.hpp"

namespace ferrule::format {

/// What the entry of a tensor says, before it is compared with the file.
struct RawEntry {
  Dtype dtype = Dtype::kF32;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

/// Reads the entries of a safetensors header one by one:
///
///   "NAME":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}
///          ^ from here                                        ^ to here
///
/// Members may come in any order, with white space and escapes (ST-4, ST-5), each once (ST-6) and
/// all three of them (ST-12); integers are plain (ST-8), the dtype is a known one (ST-13).
class EntryReader {
 public:
  /// No entry with its name is shorter than `"":{"dtype":"U8","shape":[],"data_offsets":[0,1]}`.
  static constexpr std::size_t kSmallest = 48;

  /// `scan` must outlive the reader. Its text must end in '}' or white space.
  explicit EntryReader(HeaderScanner& scan) noexcept : scan_(scan) {}

  /// Reads on from the end of the name. False if the entry breaks a rule; the scanner has the
  /// error.
  bool read(std::string_view name, RawEntry& out);

  /// The shape of the entry read last, valid until the next one.
  std::span<const std::uint64_t> shape() const noexcept { return numbers_; }

 private:
  bool canonical(RawEntry& raw) noexcept;
  bool any(std::string_view name, RawEntry& raw);
  bool member(std::string_view name, std::string_view key, unsigned& seen, RawEntry& raw);
  bool dtype(std::string_view name, Dtype& out);
  bool integers(std::string_view what, std::string_view name);

  HeaderScanner& scan_;
  /// The numbers of the array read last, the shape in the end; filled again without allocating.
  std::vector<std::uint64_t> numbers_;
  std::string_view last_dtype_text_;
  Dtype last_dtype_ = Dtype::kF32;
};

}  // namespace ferrule::format
