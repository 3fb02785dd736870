// SPDX-License-Identifier: Apache-2.0
#include "factor/truncated.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace ferrule::factor {
namespace {

/// 600 x 500, the singular values 1 / (1 + i) of random vectors, which are nearly orthogonal.
DenseUpdate decaying() {
  DenseUpdate update(600, 500);
  std::mt19937 engine(7);
  std::normal_distribution<float> normal;
  for (int i = 0; i < 20; ++i) {
    std::vector<float> left(update.rows), right(update.columns);
    for (auto& value : left) value = normal(engine);
    for (auto& value : right) value = normal(engine);
    for (std::size_t r = 0; r < update.rows; ++r) {
      for (std::size_t c = 0; c < update.columns; ++c) {
        update.values[r * update.columns + c] +=
            left[r] * right[c] / static_cast<float>(1 + i) / 500.0F;
      }
    }
  }
  return update;
}

TEST(Truncated, WhatIsKeptIsWhatTheSingularValuesPromise) {
  const auto update = decaying();
  double total = 0;
  for (const float value : update.values) total += double{value} * double{value};
  const auto parts = truncated(update, {.rank = 8});
  double kept = 0;
  for (const double value : parts.values()) kept += value * value;
  EXPECT_EQ(parts.values().size(), 8U);
  EXPECT_GT(kept, 0.9 * total);
  EXPECT_LE(kept, total * (1 + 1e-6));
}

TEST(Truncated, TheResultDoesNotDependOnTheThreads) {
  const auto update = decaying();
  const auto one = truncated(update, {.rank = 8}, 1);
  const auto four = truncated(update, {.rank = 8}, 4);
  EXPECT_TRUE(std::ranges::equal(one.values(), four.values()));
}

TEST(Truncated, AnUpdateOfZerosHasNoValues) {
  EXPECT_TRUE(truncated(DenseUpdate(300, 300), {.rank = 4}).values().empty());
}

}  // namespace
}  // namespace ferrule::factor
