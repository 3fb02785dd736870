// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "ferrule/combine.hpp"

namespace ferrule::factor {

/// torch's CPU generator as torch.bernoulli uses it on a tensor of F32.
class TorchRandom {
 public:
  explicit TorchRandom(std::uint64_t seed) : engine_(static_cast<std::uint32_t>(seed)) {}
  /// One draw: true with that probability.
  bool bernoulli(float probability) {
    constexpr std::uint32_t kMask = (1U << 24) - 1;
    return static_cast<float>(engine_() & kMask) * 0x1p-24F < probability;
  }

 private:
  std::mt19937 engine_;
};

/// What all of PEFT's ways to combine are made of, on tensors of one size
/// (peft/utils/merge_utils.py).
enum class Pruning : std::uint8_t { kNone, kMagnitude, kRandom };
enum class Election : std::uint8_t { kNone, kTotal };

struct TaskRule {
  Pruning pruning = Pruning::kNone;
  /// kTotal: only values of the sign that the sum has are averaged (TIES).
  Election election = Election::kNone;
  /// The share of values that survive; not looked at without pruning.
  double density = 1;
};

/// The rule behind "ties", "dare_linear" and so on, whether on the factors or on the updates.
TaskRule task_rule(CombineMethod method, double density);

/// The combination of `tasks`, each with its weight, in F32 as PEFT computes it. The tasks are
/// pruned in place.
std::vector<float> merge_tasks(const TaskRule& rule, std::span<std::vector<float>> tasks,
                               std::span<const float> weights, TorchRandom& random);

}  // namespace ferrule::factor
