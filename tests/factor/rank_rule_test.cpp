// SPDX-License-Identifier: Apache-2.0
#include "factor/rank_rule.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace ferrule::factor {
namespace {

Decomposed with(std::vector<double> values, double rest = 0) {
  return Decomposed::from(std::move(values), {}, {}, rest);
}

std::size_t chosen(RankRule rule, const Decomposed& part) {
  const Decomposed parts[] = {part};
  return choose_rank(rule, parts);
}

TEST(ChooseRank, TakesTheSmallestThatDoes) {
  const auto part = with({4, 2, 1});  // Squares 16, 4, 1 of 21.
  EXPECT_EQ(chosen({.rank = 2}, part), 2U);
  EXPECT_EQ(chosen({.rank = 9}, part), 3U);
  EXPECT_EQ(chosen({.energy = 16.0 / 21}, part), 1U);
  EXPECT_EQ(chosen({.energy = 16.1 / 21}, part), 2U);
  EXPECT_EQ(chosen({.energy = 1}, part), 3U);
  EXPECT_EQ(chosen({.max_error = 1}, part), 1U);
  EXPECT_EQ(chosen({.max_error = 0}, part), 3U);
  EXPECT_EQ(chosen({.max_error = 0.22}, part), 2U);  // sqrt(1 / 21) is 0.218.
  EXPECT_EQ(chosen({.max_error = 0.21}, part), 3U);
  EXPECT_EQ(chosen({.rank = 1, .energy = 1}, part), 1U);
}

TEST(ChooseRank, IsAtLeastOne) {
  EXPECT_EQ(chosen({.energy = 0}, with({4, 2})), 1U);
  EXPECT_EQ(chosen({.rank = 4}, with({})), 1U);
}

TEST(ChooseRank, CountsWhatWasNotDecomposed) {
  EXPECT_EQ(chosen({.max_error = 0.3}, with({4, 2}, 1)), 2U);
  const Decomposed parts[] = {with({4, 2}, 5)};
  EXPECT_DOUBLE_EQ(kept_of(parts, 2).relative_error, std::sqrt(5.0 / 25));
}

TEST(ChooseRank, IsOneForAllParts) {
  const Decomposed parts[] = {with({4, 0.1}), with({3, 2, 1})};
  EXPECT_EQ(choose_rank({.max_error = 0}, parts), 3U);
  EXPECT_EQ(choose_rank({.energy = 0.8}, parts), 1U);
  const auto kept = kept_of(parts, 1);
  EXPECT_DOUBLE_EQ(kept.relative_error, std::sqrt((0.01 + 4 + 1) / (16 + 0.01 + 9 + 4 + 1)));
  EXPECT_EQ(kept.values, (std::vector<double>{4, 3, 2, 1, 0.1}));
}

TEST(Noise, IsNoRank) {
  EXPECT_EQ(with({1, 1e-17}).values().size(), 1U);
  EXPECT_TRUE(with({0, 0}).values().empty());
}

TEST(ShareBudget, TakesTheLargestOfAllModules) {
  const Decomposed a[] = {with({9, 8, 1})};
  const Decomposed b[] = {with({5, 4, 3})};
  const BudgetModule modules[] = {{.parts = a, .cost = 10}, {.parts = b, .cost = 10}};
  EXPECT_EQ(share_budget(modules, 19), std::nullopt);
  EXPECT_EQ(share_budget(modules, 20), (std::vector<std::size_t>{1, 1}));
  EXPECT_EQ(share_budget(modules, 39), (std::vector<std::size_t>{2, 1}));
  EXPECT_EQ(share_budget(modules, 40), (std::vector<std::size_t>{2, 2}));
  EXPECT_EQ(share_budget(modules, 50), (std::vector<std::size_t>{2, 3}));
  EXPECT_EQ(share_budget(modules, 1000), (std::vector<std::size_t>{3, 3}));
}

TEST(ShareBudget, PassesOverWhatDoesNotFit) {
  const Decomposed a[] = {with({9, 8})};
  const Decomposed b[] = {with({5, 4})};
  const BudgetModule modules[] = {{.parts = a, .cost = 30}, {.parts = b, .cost = 10}};
  EXPECT_EQ(share_budget(modules, 55), (std::vector<std::size_t>{1, 2}));
}

}  // namespace
}  // namespace ferrule::factor
