// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace ferrule::merging {

/// The numbers that torch.Generator(device="cpu").manual_seed(seed) gives: PEFT makes projections
/// and places of values from them again instead of saving them. Source: ATen's mt19937 and CPU
/// distributions in torch 2.13.
class TorchRandom {
 public:
  explicit TorchRandom(std::uint64_t seed) noexcept;

  std::uint32_t next() noexcept;
  std::uint64_t next64() noexcept;

  /// uniform_(low, high) of float32 tensors, element by element.
  void uniform(std::span<float> out, double low, double high) noexcept;
  /// uniform_(-bound, bound) of a bfloat16 tensor, as torch 2.13 makes it: earlier releases take
  /// the bounds rounded, and can give the upper one.
  void uniform_bf16(std::span<float> out, double bound) noexcept;
  /// normal_(mean, deviation) of float32 tensors. The last bits of sine and cosine may differ.
  void normal(std::span<float> out, double mean, double deviation) noexcept;
  /// The first `count` numbers of torch.randperm(size).
  std::vector<std::uint64_t> permutation(std::uint64_t size, std::uint64_t count);
  /// torch.randint(0, bound) for bounds below 2^32.
  std::uint32_t below(std::uint32_t bound) noexcept { return next() % bound; }

 private:
  void twist() noexcept;
  /// In [0, 1), of 24 bits.
  float unit() noexcept;
  double uniform_double() noexcept;
  double normal_double() noexcept;

  std::array<std::uint32_t, 624> state_{};
  std::size_t at_ = 624;
  std::optional<double> kept_;
};

}  // namespace ferrule::merging
