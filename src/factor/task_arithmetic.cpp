// SPDX-License-Identifier: Apache-2.0
#include "factor/task_arithmetic.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "merge/top_places.hpp"

namespace ferrule::factor {
namespace {

/// Keeps the `density` share of largest values; of equal ones those that torch.topk takes.
void prune_by_magnitude(std::vector<float>& task, double density) {
  const auto keep = static_cast<std::size_t>(density * static_cast<double>(task.size()));
  if (keep >= task.size()) return;
  std::vector<float> sizes(task.size());
  std::transform(task.begin(), task.end(), sizes.begin(), [](float v) { return std::fabs(v); });
  std::vector<float> pruned(task.size());
  for (const auto place : merging::top_places(sizes.data(), sizes.size(), keep)) {
    pruned[place] = task[place];
  }
  task = std::move(pruned);
}

/// Keeps each value with a chance of `density`, and divides by it, so that sums stay as expected.
void prune_at_random(std::vector<float>& task, double density, TorchRandom& random) {
  const auto share = static_cast<float>(density);
  for (auto& value : task) value = random.bernoulli(share) ? value / share : 0.0F;
}

/// The mean of the weighted values that have the sign of the sum of the unweighted ones.
float elect(std::span<std::vector<float>> tasks, std::span<const float> weights, std::size_t i) {
  float total = 0;
  for (const auto& task : tasks) total += task[i];
  const bool positive = total >= 0;
  float sum = 0;
  float count = 0;
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    const float value = tasks[t][i];
    if (value == 0 || (value > 0) != positive) continue;
    sum += value * weights[t];
    count += 1;
  }
  return sum / std::max(count, 1.0F);
}

}  // namespace

TaskRule task_rule(CombineMethod method, double density) {
  TaskRule rule{.density = density};
  switch (method) {
    case CombineMethod::kTies:
    case CombineMethod::kTiesSvd:
      rule.pruning = Pruning::kMagnitude;
      rule.election = Election::kTotal;
      break;
    case CombineMethod::kDareLinear:
    case CombineMethod::kDareLinearSvd:
      rule.pruning = Pruning::kRandom;
      break;
    case CombineMethod::kDareTies:
    case CombineMethod::kDareTiesSvd:
      rule.pruning = Pruning::kRandom;
      rule.election = Election::kTotal;
      break;
    case CombineMethod::kMagnitudePrune:
    case CombineMethod::kMagnitudePruneSvd:
      rule.pruning = Pruning::kMagnitude;
      break;
    case CombineMethod::kCat:
    case CombineMethod::kSvd:
    case CombineMethod::kLinear:
      break;
  }
  return rule;
}

std::vector<float> merge_tasks(const TaskRule& rule, std::span<std::vector<float>> tasks,
                               std::span<const float> weights, TorchRandom& random) {
  for (auto& task : tasks) {
    if (rule.density >= 1) break;
    if (rule.pruning == Pruning::kMagnitude) prune_by_magnitude(task, rule.density);
    if (rule.pruning == Pruning::kRandom) prune_at_random(task, rule.density, random);
  }
  std::vector<float> merged(tasks.front().size());
  for (std::size_t i = 0; i < merged.size(); ++i) {
    if (rule.election == Election::kTotal) {
      merged[i] = elect(tasks, weights, i);
      continue;
    }
    for (std::size_t t = 0; t < tasks.size(); ++t) merged[i] += tasks[t][i] * weights[t];
  }
  return merged;
}

}  // namespace ferrule::factor
