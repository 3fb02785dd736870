// SPDX-License-Identifier: Apache-2.0
#include "peft/rank_padding.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include "state.hpp"

namespace ferrule::peft {
namespace {

/// Factors of rank 2, padded to 3; `stray` is what is past the rank in A.
container::TensorPlan padded(std::deque<std::vector<float>>& memory, float stray) {
  memory.push_back({1, 2, 3, 4, 0, stray});
  memory.push_back({1, 2, 0, 3, 4, 0});
  container::TensorPlan plan;
  const std::vector<std::vector<std::uint64_t>> shapes = {{3, 2}, {2, 3}};
  for (std::size_t i = 0; i < 2; ++i) {
    plan.push_back({.name = kLoraKeys[i],
                    .dtype = Dtype::kF32,
                    .shape = shapes[i],
                    .bytes = std::as_bytes(std::span(memory[memory.size() - 2 + i]))});
  }
  return plan;
}

TEST(RankPadding, ZerosPastTheRankAreCut) {
  std::deque<std::vector<float>> memory;
  auto plan = padded(memory, 0);
  EXPECT_EQ(cut_rank_padding(config("LORA", {{"r", Json(2)}}), plan).value(), 1U);
  EXPECT_EQ(plan[0].shape, (std::vector<std::uint64_t>{2, 2}));
  EXPECT_EQ(plan[1].shape, (std::vector<std::uint64_t>{2, 2}));
  std::vector<float> b(4);
  std::memcpy(b.data(), plan[1].bytes.data(), 16);
  EXPECT_EQ(b, (std::vector<float>{1, 2, 3, 4}));
}

TEST(RankPadding, WhatIsNotZeroStays) {
  std::deque<std::vector<float>> memory;
  auto plan = padded(memory, 7);
  EXPECT_EQ(cut_rank_padding(config("LORA", {{"r", Json(2)}}), plan).value(), 0U);
  EXPECT_EQ(plan[0].shape, (std::vector<std::uint64_t>{3, 2}));
}

TEST(RankPadding, TheRankIsTheModulesOwn) {
  std::deque<std::vector<float>> memory;
  auto plan = padded(memory, 0);
  const auto pattern =
      config("LORA", {{"r", Json(2)}, {"rank_pattern", Json(Json::Object{{"q_proj", Json(3)}})}});
  EXPECT_EQ(cut_rank_padding(pattern, plan).value(), 0U);
}

TEST(RankPadding, OtherMethodsAndFusedExpertsAreLeftAlone) {
  std::deque<std::vector<float>> memory;
  auto plan = padded(memory, 0);
  const auto experts =
      config("LORA", {{"r", Json(2)}, {"target_parameters", Json(Json::Array{Json("w")})}});
  EXPECT_EQ(cut_rank_padding(experts, plan).value(), 0U);
  EXPECT_EQ(cut_rank_padding(config("LOHA", {{"r", Json(2)}}), plan).value(), 0U);
}

}  // namespace
}  // namespace ferrule::peft
