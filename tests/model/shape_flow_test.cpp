// SPDX-License-Identifier: Apache-2.0
#include "model/shape_flow.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace ferrule::model {
namespace {

TEST(ShapeFlow, ExpertsAreStackedAndJoined) {
  const std::vector<Shape> three(3, Shape{48, 32});
  const std::vector<Shape> expected = {{3, 96, 32}};
  EXPECT_EQ(follow_shapes("m0c1", {three, three}, 1), expected);
}

TEST(ShapeFlow, ATensorIsDividedAndTransposed) {
  EXPECT_EQ(follow_shapes("h0", {{{6, 5}}}, 3), std::vector<Shape>(3, Shape{2, 5}));
  EXPECT_EQ(follow_shapes("t02", {{{1, 2, 3}}}, 1), std::vector<Shape>({{3, 2, 1}}));
  EXPECT_EQ(follow_shapes("i", {{{1, 2}}}, 1), std::vector<Shape>({{1, 2}}));
}

TEST(ShapeFlow, WhatDoesNotFitHasNoShape) {
  const std::vector<Shape> uneven = {{48, 32}, {47, 32}};
  EXPECT_TRUE(follow_shapes("m0", {uneven}, 1).empty());
  EXPECT_TRUE(follow_shapes("h0", {{{5, 2}}}, 2).empty());
  EXPECT_TRUE(follow_shapes("h0", {{{4, 2}}}, 0).empty());
  EXPECT_TRUE(follow_shapes("c7", {{{5, 2}}}, 1).empty());
  EXPECT_TRUE(follow_shapes("?", {{{5, 2}}}, 1).empty());
  EXPECT_TRUE(follow_shapes("t03", {{{1, 2, 3}}}, 1).empty());
  EXPECT_TRUE(follow_shapes("c0", {{{1ULL << 63, 2}, {1ULL << 63, 2}}}, 1).empty());
  // Only the dimension along which they are joined can differ, and the ranks cannot.
  EXPECT_EQ(follow_shapes("c0", {{{2, 3}, {4, 3}}}, 1), std::vector<Shape>({{6, 3}}));
  EXPECT_TRUE(follow_shapes("c0", {{{2, 3}, {4, 5}}}, 1).empty());
  EXPECT_TRUE(follow_shapes("c0", {{{2, 3}, {4}}}, 1).empty());
  // As many as were asked for.
  EXPECT_TRUE(follow_shapes("i", {{{1, 2}}}, 2).empty());
}

}  // namespace
}  // namespace ferrule::model
