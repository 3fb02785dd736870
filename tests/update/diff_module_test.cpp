// SPDX-License-Identifier: Apache-2.0
#include "update/diff_module.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "pairs.hpp"

namespace ferrule::update {
namespace {

TEST(DiffModule, AModuleOfOneAdapterOnlyIsToldBySide) {
  Numbers state;
  state.pair({1, 2}, {3, 4}, 1);
  const auto adapter = state.adapter();
  const auto& module = adapter.modules()[0];
  EXPECT_EQ(compare_modules(adapter, &module, adapter, nullptr, false).diff.measure.verdict,
            DiffVerdict::kOnlyA);
  EXPECT_EQ(compare_modules(adapter, nullptr, adapter, &module, false).diff.measure.verdict,
            DiffVerdict::kOnlyB);
}

TEST(DiffModule, TheStrengthIsPartOfTheUpdate) {
  Numbers state;
  state.pair({1, 2}, {3, 4}, 1);
  const auto one = state.adapter(R"("r": 1, "lora_alpha": 1)");
  const auto twice = state.adapter(R"("r": 1, "lora_alpha": 2)");
  const auto compared = compare_modules(one, &one.modules()[0], twice, &twice.modules()[0], true);
  EXPECT_EQ(compared.diff.path, "layers.0.q");
  EXPECT_EQ(compared.diff.measure.verdict, DiffVerdict::kScaled);
  EXPECT_DOUBLE_EQ(*compared.diff.measure.factor, 2);
  ASSERT_EQ(compared.diff.tensors.size(), 2U) << "the tensors themselves are equal";
  for (const auto& tensor : compared.diff.tensors) {
    EXPECT_EQ(tensor.measure.verdict, DiffVerdict::kSame) << tensor.name;
  }
}

TEST(DiffModule, AnotherShapeHasNoDistance) {
  Numbers one, other;
  one.pair({1, 2}, {3, 4}, 1);
  other.pair({1, 2, 3}, {3, 4}, 1);
  const auto a = one.adapter(), b = other.adapter();
  EXPECT_EQ(compare_modules(a, &a.modules()[0], b, &b.modules()[0], false).diff.measure.verdict,
            DiffVerdict::kShape);
}

TEST(DiffModule, ValuesThatAreNotFiniteAreTold) {
  Numbers one, other;
  one.pair({1, 2}, {3, 4}, 1);
  other.pair({1, std::numeric_limits<float>::quiet_NaN()}, {3, 4}, 1);
  const auto a = one.adapter(), b = other.adapter();
  const auto compared = compare_modules(a, &a.modules()[0], b, &b.modules()[0], false);
  EXPECT_TRUE(compared.non_finite);
  EXPECT_FALSE(compared.diff.measure.relative_distance);
}

}  // namespace
}  // namespace ferrule::update
