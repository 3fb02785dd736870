// SPDX-License-Identifier: Apache-2.0
#include "update/low_rank.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "pairs.hpp"

namespace ferrule::update {
namespace {

TEST(LowRank, AnUpdatesSquareIsThatOfItsMatrix) {
  Numbers state;
  state.pair({1, 2, 3, 4}, {5, 6, 7, 8, 9, 10}, 2);  // A is [2, 2], B is [3, 2].
  const auto adapter = state.adapter(R"("r": 2, "lora_alpha": 6)");
  const auto update = low_rank_update(adapter.config(), adapter.modules()[0]);
  ASSERT_TRUE(update);
  EXPECT_EQ(update->strength, 3);
  // B A = [[23, 34], [31, 46], [39, 58]], strength 3.
  const double want = 9.0 * (23 * 23 + 34 * 34 + 31 * 31 + 46 * 46 + 39 * 39 + 58 * 58);
  EXPECT_DOUBLE_EQ(squared_norm(*update), want);
}

TEST(LowRank, RescaledFactorsAreTheSameUpdate) {
  Numbers one, other;
  one.pair({1, 2, 3}, {4, 5}, 1);
  other.pair({2, 4, 6}, {2, 2.5F}, 1);
  const auto a = one.adapter(), b = other.adapter();
  const auto mine = *low_rank_update(a.config(), a.modules()[0]);
  const auto theirs = *low_rank_update(b.config(), b.modules()[0]);
  ASSERT_TRUE(same_shape(mine, theirs));
  const auto products = compare_updates(mine, theirs);
  EXPECT_DOUBLE_EQ(products.aa, products.bb);
  EXPECT_DOUBLE_EQ(products.ab, products.aa);
  EXPECT_NEAR(products.distance, 0, 1e-12 * products.aa);
  EXPECT_GT(products.factor_distance, 0);
}

TEST(LowRank, ASharedFactorGivesTheDistanceExactly) {
  Numbers one, other;
  one.pair({1, 0}, {1, 0}, 1);
  other.pair({1, 0}, {1 + 0x1p-23F, 0}, 1);
  const auto a = one.adapter(), b = other.adapter();
  const auto products = compare_updates(*low_rank_update(a.config(), a.modules()[0]),
                                        *low_rank_update(b.config(), b.modules()[0]));
  EXPECT_EQ(products.distance, 0x1p-46) << "one rounding of one factor is seen";
}

TEST(LowRank, OtherShapesAreNotCompared) {
  Numbers one, other;
  one.pair({1, 2, 3}, {4, 5}, 1);
  other.pair({1, 2}, {4, 5}, 1);
  const auto a = one.adapter(), b = other.adapter();
  EXPECT_FALSE(same_shape(*low_rank_update(a.config(), a.modules()[0]),
                          *low_rank_update(b.config(), b.modules()[0])));
}

TEST(LowRank, FactorsCanBeExchangedAtAnyRank) {
  Numbers one, wide;
  one.pair({1, 2}, {3, 4}, 1);
  wide.pair({1, 2, 0, 0}, {3, 0, 4, 0}, 2);
  const auto a = one.adapter(), b = wide.adapter(R"("r": 2, "lora_alpha": 2)");
  const auto update = *low_rank_update(a.config(), a.modules()[0]);
  const auto& module = b.modules()[0];
  const auto padded = with_factors(update, *module.find("lora_A"), *module.find("lora_B"), 1);
  EXPECT_DOUBLE_EQ(squared_norm(padded), squared_norm(update));
  EXPECT_EQ(squared_distance(update, padded, Factor::kA, 1), 0);
}

TEST(LowRank, AModuleWithoutAPairHasNone) {
  Numbers state;
  state.add("base_model.model.layers.0.q.ia3_l", {2, 1}, {1, 2});
  const auto adapter = state.adapter_of(
      R"({"peft_type": "IA3", "target_modules": ["q"], "feedforward_modules": []})");
  EXPECT_FALSE(low_rank_update(adapter.config(), adapter.modules()[0]));
}

}  // namespace
}  // namespace ferrule::update
