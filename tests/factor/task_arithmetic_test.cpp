// SPDX-License-Identifier: Apache-2.0
#include "factor/task_arithmetic.hpp"

#include <gtest/gtest.h>

namespace ferrule::factor {
namespace {

using Tasks = std::vector<std::vector<float>>;

std::vector<float> merged(CombineMethod method, double density, Tasks tasks,
                          std::vector<float> weights) {
  TorchRandom random(0);
  return merge_tasks(task_rule(method, density), tasks, weights, random);
}

TEST(TorchRandom, DrawsWhatTorchDraws) {
  // torch.manual_seed(7); torch.bernoulli(torch.full((12,), 0.5))
  TorchRandom random(7);
  std::vector<int> draws;
  for (int i = 0; i < 12; ++i) draws.push_back(random.bernoulli(0.5F) ? 1 : 0);
  EXPECT_EQ(draws, (std::vector<int>{0, 1, 0, 0, 1, 1, 1, 0, 1, 0, 0, 0}));
}

TEST(MergeTasks, AddsUp) {
  EXPECT_EQ(merged(CombineMethod::kLinear, 1, {{1, 2}, {10, 20}}, {2, 0.5F}),
            (std::vector<float>{7, 14}));
}

TEST(MergeTasks, KeepsTheLargest) {
  EXPECT_EQ(merged(CombineMethod::kMagnitudePrune, 0.5, {{1, -4, 3, 2}}, {1}),
            (std::vector<float>{0, -4, 3, 0}));
  EXPECT_EQ(merged(CombineMethod::kMagnitudePrune, 0.5, {{1, 1, 1, 1}}, {1}),
            (std::vector<float>{0, 0, 1, 1}));  // As torch.topk chooses.
  EXPECT_EQ(merged(CombineMethod::kMagnitudePrune, 0, {{1, 2}}, {1}), (std::vector<float>{0, 0}));
  EXPECT_EQ(merged(CombineMethod::kMagnitudePrune, 1, {{1, 2}}, {1}), (std::vector<float>{1, 2}));
}

TEST(MergeTasks, AveragesTheSignThatWins) {
  EXPECT_EQ(merged(CombineMethod::kTies, 1, {{3, -1, 0}, {-1, -2, 0}, {2, 1, 0}}, {1, 2, 4}),
            (std::vector<float>{(3 + 8) / 2.0F, (-1 - 4) / 2.0F, 0}));
}

}  // namespace
}  // namespace ferrule::factor
