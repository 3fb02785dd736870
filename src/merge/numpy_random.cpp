// SPDX-License-Identifier: Apache-2.0
#include "merge/numpy_random.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>
#include <unordered_set>
#include <utility>

namespace ferrule::merging {
namespace {

/// SeedSequence(seed).generate_state(4, numpy.uint64).
class SeedSequence {
 public:
  explicit SeedSequence(std::uint64_t seed) noexcept {
    const std::array<std::uint32_t, 4> entropy = {static_cast<std::uint32_t>(seed),
                                                  static_cast<std::uint32_t>(seed >> 32), 0, 0};
    std::uint32_t constant = 0x43b0d7e5U;
    const auto hash = [&](std::uint32_t value) {
      value ^= constant;
      constant *= 0x931e8875U;
      value *= constant;
      return value ^ (value >> 16);
    };
    for (std::size_t i = 0; i < pool_.size(); ++i) pool_[i] = hash(entropy[i]);
    for (std::size_t from = 0; from < pool_.size(); ++from) {
      for (std::size_t to = 0; to < pool_.size(); ++to) {
        if (from == to) continue;
        const auto mixed = 0xca01f9ddU * pool_[to] - 0x4973f715U * hash(pool_[from]);
        pool_[to] = mixed ^ (mixed >> 16);
      }
    }
  }

  std::array<std::uint64_t, 4> state() const noexcept {
    std::array<std::uint64_t, 4> out{};
    std::uint32_t constant = 0x8b51f9ddU;
    for (std::size_t i = 0; i < 8; ++i) {
      auto value = pool_[i % 4] ^ constant;
      constant *= 0x58f38dedU;
      value *= constant;
      value ^= value >> 16;
      out[i / 2] |= std::uint64_t{value} << (i % 2 * 32);
    }
    return out;
  }

 private:
  std::array<std::uint32_t, 4> pool_{};
};

}  // namespace

NumpyRandom::NumpyRandom(std::uint64_t seed) noexcept {
  const auto from = SeedSequence(seed).state();
  increment_ = ((Wide{from[2]} << 64 | from[3]) << 1) | 1U;
  step();
  state_ += Wide{from[0]} << 64 | from[1];
  step();
}

void NumpyRandom::step() noexcept {
  constexpr Wide kFactor = Wide{2549297995355413924U} << 64 | Wide{4865540595714422341U};
  state_ = state_ * kFactor + increment_;
}

std::uint64_t NumpyRandom::next64() noexcept {
  step();
  const auto high = static_cast<std::uint64_t>(state_ >> 64);
  const auto low = static_cast<std::uint64_t>(state_);
  return std::rotr(high ^ low, static_cast<int>(high >> 58));
}

std::uint32_t NumpyRandom::next32() noexcept {
  if (kept_) {
    const auto value = *kept_;
    kept_.reset();
    return value;
  }
  const auto both = next64();
  kept_ = static_cast<std::uint32_t>(both >> 32);
  return static_cast<std::uint32_t>(both);
}

std::uint32_t NumpyRandom::up_to(std::uint32_t most) noexcept {
  if (most == 0) return 0;
  const std::uint64_t count = std::uint64_t{most} + 1;
  auto product = next32() * count;
  if (static_cast<std::uint32_t>(product) < count) {
    const auto least = static_cast<std::uint32_t>((0xffffffffU - most) % count);
    while (static_cast<std::uint32_t>(product) < least) product = next32() * count;
  }
  return static_cast<std::uint32_t>(product >> 32);
}

std::uint32_t NumpyRandom::masked(std::uint32_t most) noexcept {
  if (most == 0) return 0;
  const std::uint32_t mask = 0xffffffffU >> std::countl_zero(most);
  auto value = next32() & mask;
  while (value > most) value = next32() & mask;
  return value;
}

std::vector<std::uint32_t> NumpyRandom::choice(std::uint32_t population, std::uint32_t count) {
  const auto mix = [&](std::vector<std::uint32_t>& values, std::size_t first) {
    for (auto i = values.size(); i-- > first;) {
      std::swap(values[i], values[up_to(static_cast<std::uint32_t>(i))]);
    }
  };
  std::vector<std::uint32_t> out;
  if (population > 10000 && count > population / 50) {
    std::vector<std::uint32_t> all(population);
    std::iota(all.begin(), all.end(), 0U);
    mix(all, std::max<std::uint32_t>(population - count, 1));
    return {all.end() - static_cast<std::ptrdiff_t>(count), all.end()};
  }
  std::unordered_set<std::uint32_t> taken;
  for (auto i = population - count; i < population; ++i) {
    auto value = up_to(i);
    if (taken.contains(value)) value = i;
    taken.insert(value);
    out.push_back(value);
  }
  mix(out, 1);
  return out;
}

void NumpyRandom::shuffle(std::vector<std::uint32_t>& values) noexcept {
  for (auto i = values.size(); i-- > 1;) {
    std::swap(values[i], values[masked(static_cast<std::uint32_t>(i))]);
  }
}

}  // namespace ferrule::merging
