// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "ferrule/result.hpp"

namespace ferrule::format {

/// Bytes that can be read at any place: a file, a mapping, memory. Lets format code stay free of
/// system calls without asking that everything be mapped.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual std::uint64_t size() const noexcept = 0;
  /// Fills `out` from `offset`; the caller has checked that both lie inside size().
  virtual Result<void> read_at(std::uint64_t offset, std::span<std::byte> out) const = 0;
  /// The same into memory of its own.
  Result<std::vector<std::byte>> read(std::uint64_t offset, std::uint64_t bytes) const {
    std::vector<std::byte> out(static_cast<std::size_t>(bytes));
    if (auto done = read_at(offset, out); !done) return std::move(done).error();
    return out;
  }
};

/// Memory of someone else's as a source.
class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::span<const std::byte> bytes) noexcept : bytes_(bytes) {}
  std::uint64_t size() const noexcept override { return bytes_.size(); }
  Result<void> read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    if (!out.empty()) std::memcpy(out.data(), bytes_.data() + offset, out.size());
    return {};
  }

 private:
  std::span<const std::byte> bytes_;
};

/// A little-endian integer at `bytes[offset]`; the caller has checked the bounds.
template <typename T>
T load_le(std::span<const std::byte> bytes, std::size_t offset) noexcept {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value =
        static_cast<T>(value | static_cast<T>(std::to_integer<T>(bytes[offset + i]) << (8 * i)));
  }
  return value;
}

/// Appends `value` in little-endian order to a container of bytes or chars.
template <typename T, typename Container>
void append_le(Container& out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    out.push_back(static_cast<typename Container::value_type>((value >> (8 * i)) & 0xff));
  }
}

}  // namespace ferrule::format
