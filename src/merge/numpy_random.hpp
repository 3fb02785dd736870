// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace ferrule::merging {

/// The numbers that numpy.random.default_rng(seed) gives: PEFT draws Uni-LoRA's places from it
/// again instead of saving them. Source: SeedSequence, PCG64 and Generator of NumPy 2.4.
class NumpyRandom {
 public:
  explicit NumpyRandom(std::uint64_t seed) noexcept;

  /// choice(population, size=count, replace=False); `count` is at most `population`.
  std::vector<std::uint32_t> choice(std::uint32_t population, std::uint32_t count);
  /// shuffle() of an array of one dimension.
  void shuffle(std::vector<std::uint32_t>& values) noexcept;

 private:
  __extension__ using Wide = unsigned __int128;

  void step() noexcept;
  std::uint64_t next64() noexcept;
  std::uint32_t next32() noexcept;
  /// Up to and including `most`: by multiplication, and by a mask. Generator uses both.
  std::uint32_t up_to(std::uint32_t most) noexcept;
  std::uint32_t masked(std::uint32_t most) noexcept;

  Wide state_ = 0;
  Wide increment_ = 0;
  std::optional<std::uint32_t> kept_;
};

}  // namespace ferrule::merging
