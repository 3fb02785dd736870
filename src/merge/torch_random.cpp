// SPDX-License-Identifier: Apache-2.0
#include "merge/torch_random.hpp"

#include <cmath>
#include <unordered_map>

#include "base/float_convert.hpp"

namespace ferrule::merging {
namespace {

constexpr std::size_t kMiddle = 397;
constexpr double kTwoPi = 6.283185307179586;

/// Sixteen uniform numbers become normal ones.
void box_muller(float* data, float mean, float deviation) noexcept {
  constexpr auto kTwoPiFloat = static_cast<float>(kTwoPi);
  for (std::size_t j = 0; j < 8; ++j) {
    const float u1 = 1 - data[j];
    const float u2 = data[j + 8];
    const float radius = std::sqrt(-2 * std::log(u1));
    const float theta = kTwoPiFloat * u2;
    data[j] = std::fma(radius * std::cos(theta), deviation, mean);
    data[j + 8] = std::fma(radius * std::sin(theta), deviation, mean);
  }
}

}  // namespace

TorchRandom::TorchRandom(std::uint64_t seed) noexcept {
  state_[0] = static_cast<std::uint32_t>(seed);
  for (std::size_t i = 1; i < state_.size(); ++i) {
    const auto before = state_[i - 1];
    state_[i] = 1812433253U * (before ^ (before >> 30)) + static_cast<std::uint32_t>(i);
  }
}

void TorchRandom::twist() noexcept {
  const auto n = state_.size();
  for (std::size_t i = 0; i < n; ++i) {
    const auto y = (state_[i] & 0x80000000U) | (state_[(i + 1) % n] & 0x7fffffffU);
    state_[i] = state_[(i + kMiddle) % n] ^ (y >> 1) ^ ((y & 1U) != 0 ? 0x9908b0dfU : 0U);
  }
  at_ = 0;
}

std::uint32_t TorchRandom::next() noexcept {
  if (at_ == state_.size()) twist();
  auto y = state_[at_++];
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680U;
  y ^= (y << 15) & 0xefc60000U;
  return y ^ (y >> 18);
}

std::uint64_t TorchRandom::next64() noexcept {
  const std::uint64_t high = next();
  return high << 32 | next();
}

float TorchRandom::unit() noexcept {
  return static_cast<float>(next() & ((1U << 24) - 1)) * 0x1p-24F;
}

void TorchRandom::uniform(std::span<float> out, double low, double high) noexcept {
  const auto from = static_cast<float>(low);
  const auto to = static_cast<float>(high);
  for (auto& value : out) {
    value = std::fma(unit(), to - from, from);
    if (value == to) value = from;  // The upper bound is not part of the range.
  }
}

void TorchRandom::uniform_bf16(std::span<float> out, double bound) noexcept {
  const auto rounded = [](float value) { return base::bf16_to_float(base::float_to_bf16(value)); };
  // The bounds are not rounded, only the numbers between them are.
  const auto from = static_cast<float>(-bound);
  const auto to = static_cast<float>(bound);
  for (auto& value : out) {
    value = rounded(std::fma(unit(), to - from, from));
    if (value == rounded(to)) value = rounded(from);
  }
}

double TorchRandom::uniform_double() noexcept {
  return static_cast<double>(next64() & ((std::uint64_t{1} << 53) - 1)) * 0x1p-53;
}

double TorchRandom::normal_double() noexcept {
  if (kept_) {
    const double value = *kept_;
    kept_.reset();
    return value;
  }
  const double u1 = uniform_double();
  const double u2 = uniform_double();
  const double radius = std::sqrt(-2 * std::log1p(-u2));
  kept_ = radius * std::sin(kTwoPi * u1);
  return radius * std::cos(kTwoPi * u1);
}

void TorchRandom::normal(std::span<float> out, double mean, double deviation) noexcept {
  const auto size = out.size();
  if (size < 16) {
    for (auto& value : out) value = static_cast<float>(normal_double() * deviation + mean);
    return;
  }
  const auto as_float = static_cast<float>(mean);
  const auto spread = static_cast<float>(deviation);
  uniform(out, 0, 1);
  for (std::size_t i = 0; i + 15 < size; i += 16) box_muller(out.data() + i, as_float, spread);
  if (size % 16 == 0) return;
  const auto tail = out.last(16);
  uniform(tail, 0, 1);
  box_muller(tail.data(), as_float, spread);
}

std::vector<std::uint64_t> TorchRandom::permutation(std::uint64_t size, std::uint64_t count) {
  // Swaps from the front; places that were never swapped hold themselves.
  std::unordered_map<std::uint64_t, std::uint64_t> moved;
  const auto at = [&](std::uint64_t i) {
    const auto found = moved.find(i);
    return found == moved.end() ? i : found->second;
  };
  std::vector<std::uint64_t> out;
  for (std::uint64_t i = 0; i < count && i < size; ++i) {
    const auto step = i + 1 < size ? next() % (size - i) : 0;
    const auto here = at(i);
    const auto there = at(i + step);
    moved[i] = there;
    moved[i + step] = here;
    out.push_back(there);
  }
  return out;
}

}  // namespace ferrule::merging
