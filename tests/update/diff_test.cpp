// SPDX-License-Identifier: Apache-2.0
#include "ferrule/diff.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "pairs.hpp"

namespace ferrule {
namespace {

using update::Numbers;

Numbers two_modules(float second) {
  Numbers state;
  state.pair({1, 2}, {3, 4}, 1);
  state.add("base_model.model.layers.1.q.lora_A.weight", {1, 2}, {1, 1});
  state.add("base_model.model.layers.1.q.lora_B.weight", {2, 1}, {second, second});
  return state;
}

TEST(Diff, EveryModuleTheSameMultipleIsOneMultiple) {
  const auto state = two_modules(1);
  const auto a = state.adapter(R"("r": 1, "lora_alpha": 1)");
  const auto b = state.adapter(R"("r": 1, "lora_alpha": 3)");
  const auto report = diff(a, b);
  EXPECT_EQ(report.measure.verdict, DiffVerdict::kScaled);
  EXPECT_DOUBLE_EQ(*report.measure.factor, 3);
  ASSERT_EQ(report.modules.size(), 2U);
  EXPECT_EQ(report.modules[0].path, "layers.0.q");
  EXPECT_EQ(report.modules[1].path, "layers.1.q");
}

TEST(Diff, ModulesOfDifferentMultiplesAreDifferent) {
  const auto one = two_modules(1), other = two_modules(2);
  const auto a = one.adapter(), b = other.adapter();
  const auto report = diff(a, b, {.tensors = false, .threads = 2});
  EXPECT_EQ(report.measure.verdict, DiffVerdict::kDifferent);
  EXPECT_EQ(report.modules[0].measure.verdict, DiffVerdict::kSame);
  EXPECT_EQ(report.modules[1].measure.verdict, DiffVerdict::kScaled);
}

TEST(Diff, AModuleOfZerosThatTheOtherLacksChangesNothing) {
  Numbers one;
  one.pair({1, 2}, {3, 4}, 1);
  const auto other = two_modules(0);
  const auto a = one.adapter(), b = other.adapter();
  EXPECT_EQ(diff(a, b).measure.verdict, DiffVerdict::kSame);
}

TEST(Diff, ConfigsAreComparedByMeaning) {
  Numbers state;
  state.pair({1, 2}, {3, 4}, 1);
  const auto a = state.adapter(R"("r": 1, "lora_alpha": 1, "task_type": "CAUSAL_LM")");
  const auto b = state.adapter(R"("r": 1, "lora_alpha": 1.0)");
  const auto report = diff(a, b);
  ASSERT_EQ(report.config.size(), 1U) << "1 and 1.0 are one alpha";
  EXPECT_EQ(report.config[0].field, "task_type");
}

TEST(Diff, VerdictsHaveNames) {
  EXPECT_EQ(diff_verdict_name(DiffVerdict::kSame), "same");
  EXPECT_EQ(diff_verdict_name(DiffVerdict::kOnlyB), "only_b");
}

}  // namespace
}  // namespace ferrule
