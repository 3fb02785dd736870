// SPDX-License-Identifier: Apache-2.0
#include "update/measure.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "pairs.hpp"

namespace ferrule::update {
namespace {

TEST(Measure, AMultipleIsScaledAndKeepsItsFactor) {
  const auto measure = measure_squares({.aa = 4, .bb = 16, .ab = 8, .distance = 4}, 1e-6, true);
  EXPECT_EQ(measure.verdict, DiffVerdict::kScaled);
  EXPECT_DOUBLE_EQ(*measure.factor, 2);
  EXPECT_DOUBLE_EQ(*measure.cosine, 1);
  EXPECT_DOUBLE_EQ(*measure.relative_distance, 1);
  EXPECT_EQ(measure_squares({.aa = 4, .bb = 16, .ab = 8, .distance = 4}, 1e-6, false).verdict,
            DiffVerdict::kDifferent)
      << "where a multiple means nothing";
}

TEST(Measure, WithinTheToleranceIsTheSame) {
  const Squares near{.aa = 1, .bb = 1, .ab = 1, .distance = 1e-14};
  EXPECT_EQ(measure_squares(near, 1e-6, true).verdict, DiffVerdict::kSame);
  EXPECT_EQ(measure_squares({.aa = 1, .bb = 1, .ab = 0, .distance = 2}, 1e-6, true).verdict,
            DiffVerdict::kDifferent);
}

TEST(Measure, ZeroHasNoDirection) {
  const auto both = measure_squares({}, 1e-6, true);
  EXPECT_EQ(both.verdict, DiffVerdict::kSame);
  EXPECT_EQ(both.relative_distance, 0);
  const auto one = measure_squares({.aa = 0, .bb = 4, .ab = 0, .distance = 4}, 1e-6, true);
  EXPECT_EQ(one.verdict, DiffVerdict::kDifferent);
  EXPECT_FALSE(one.cosine);
  EXPECT_FALSE(one.relative_distance);
}

TEST(Measure, SquaresAddUp) {
  Squares sum{.aa = 1, .bb = 2, .ab = 3, .distance = 4};
  sum.add({.aa = 10, .bb = 20, .ab = 30, .distance = 40});
  EXPECT_EQ(sum.aa, 11);
  EXPECT_EQ(sum.bb, 22);
  EXPECT_EQ(sum.ab, 33);
  EXPECT_EQ(sum.distance, 44);
  EXPECT_FALSE(sum.zero());
}

TEST(Measure, TensorsAreComparedElementByElement) {
  Numbers state;
  state.add("a", {2, 2}, {1, 2, 3, 4}).add("b", {2, 2}, {1, 2, 3, 6}).add("c", {4}, {1, 2, 3, 4});
  const auto dict = state.dict();
  const auto same = compare(*dict.find("a"), *dict.find("a"));
  EXPECT_TRUE(same.same_bytes);
  const auto other = compare(*dict.find("a"), *dict.find("b"));
  EXPECT_FALSE(other.same_bytes);
  EXPECT_EQ(other.squares->distance, 4);
  EXPECT_EQ(other.largest_difference, 2);
  EXPECT_EQ(squared_norm(*dict.find("a")), 30);
  EXPECT_TRUE(same_shape(*dict.find("a"), *dict.find("b")));
  EXPECT_FALSE(same_shape(*dict.find("a"), *dict.find("c")));
}

TEST(Measure, MoreThanOnePieceIsRead) {
  std::vector<float> ones(5000, 1), late = ones;
  late.back() = 3;
  Numbers state;
  state.add("a", {5000}, ones).add("b", {5000}, late);
  const auto dict = state.dict();
  EXPECT_EQ(squared_norm(*dict.find("a")), 5000);
  EXPECT_EQ(compare(*dict.find("a"), *dict.find("b")).squares->distance, 4);
}

}  // namespace
}  // namespace ferrule::update
