// SPDX-License-Identifier: Apache-2.0
#include "merge/content_sum.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

#include "base/try.hpp"

namespace ferrule::merging {
namespace {

/// The factor of the word at that place: odd, so that a change of the word changes the sum.
std::uint64_t factor(std::uint64_t place) noexcept {
  std::uint64_t x = place * 0x9E3779B97F4A7C15U;
  x ^= x >> 32;
  x *= 0xD6E8FEB86659FD93U;
  x ^= x >> 29;
  return x | 1U;
}

}  // namespace

void ContentSum::add(std::uint64_t offset, std::span<const std::byte> piece) noexcept {
  // Words of eight bytes by their place in the file; a part of a word counts as its share.
  std::uint64_t low = 0, high = 0;
  while (!piece.empty()) {
    const auto skipped = static_cast<std::size_t>(offset % 8);
    const auto count = std::min(piece.size(), 8 - skipped);
    std::uint64_t word = 0;
    std::memcpy(&word, piece.data(), count);
    word <<= 8 * skipped;
    const auto by = factor(offset / 8);
    low += word * by;
    high += word * (by >> 17 | 1U);
    offset += count;
    piece = piece.subspan(count);
    if (offset % 8 != 0) continue;
    std::size_t i = 0;
    std::uint64_t place = offset / 8;
    for (; i + 8 <= piece.size(); i += 8, ++place) {
      std::uint64_t whole = 0;
      std::memcpy(&whole, piece.data() + i, 8);
      const auto here = factor(place);
      low += whole * here;
      high += whole * (here >> 17 | 1U);
    }
    offset += i;
    piece = piece.subspan(i);
  }
  low_ += low;
  high_ += high;
}

std::string ContentSum::text() const {
  std::array<char, 40> out{};
  std::snprintf(out.data(), out.size(), "%016llx%016llx",
                static_cast<unsigned long long>(high_.load()),
                static_cast<unsigned long long>(low_.load()));
  return out.data();
}

Result<void> SummedFile::write(std::span<const std::span<const std::byte>> pieces) {
  FERRULE_CHECK(file_.write(pieces));
  for (const auto& piece : pieces) {
    sum_.add(position_, piece);
    position_ += piece.size();
  }
  return {};
}

Result<void> SummedFile::write_at(std::uint64_t offset, std::span<const std::byte> piece) {
  FERRULE_CHECK(file_.write_at(offset, piece));
  sum_.add(offset, piece);
  return {};
}

}  // namespace ferrule::merging
