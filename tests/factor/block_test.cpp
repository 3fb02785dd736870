// SPDX-License-Identifier: Apache-2.0
#include "factor/block.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace ferrule::factor {
namespace {

// More rows than one thread takes at a time, and not a multiple of what is worked on at once.
constexpr std::size_t kRows = 1100;
constexpr std::size_t kColumns = 700;

void fill(float* values, std::size_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::generate_n(values, count, [&] { return normal(engine); });
}

double squared_norm(DenseUpdate& update, unsigned threads) {
  double square = 0;
  times(update, Block(kColumns, 1), threads, &square);
  return square;
}

Block random_block(std::size_t rows, std::size_t count, unsigned seed) {
  Block block(rows, count);
  fill(block.values.data(), block.values.size(), seed);
  return block;
}

DenseUpdate random_update() {
  DenseUpdate update(kRows, kColumns);
  fill(update.row(0), kRows * kColumns, 5);
  return update;
}

TEST(Block, ProductsWithAnUpdateAreItsProducts) {
  auto update = random_update();
  const auto x = random_block(kColumns, 18, 1);
  const auto y = random_block(kRows, 18, 2);
  const auto right = times(update, x, 2);
  const auto left = transposed_times(update, y, 2);
  for (const std::size_t i : {0UL, 511UL, 512UL, 1099UL}) {
    double sum = 0;
    for (std::size_t k = 0; k < kColumns; ++k)
      sum += double{update.row(i)[k]} * x.values[k * 18 + 3];
    EXPECT_NEAR(right.values[i * 18 + 3], sum, 1e-4);
  }
  for (const std::size_t j : {0UL, 511UL, 512UL, 699UL}) {
    double sum = 0;
    for (std::size_t k = 0; k < kRows; ++k) sum += double{update.row(k)[j]} * y.values[k * 18 + 17];
    EXPECT_NEAR(left.values[j * 18 + 17], sum, 1e-4);
  }
}

TEST(Block, InnerProductsAreSummedInDouble) {
  const auto x = random_block(kRows, 5, 1);
  const auto y = random_block(kRows, 9, 2);
  const auto inner = cross(x, y, 2);
  ASSERT_EQ(inner.rows, 5U);
  double sum = 0;
  for (std::size_t k = 0; k < kRows; ++k) sum += double{x.values[k * 5 + 4]} * y.values[k * 9 + 8];
  EXPECT_NEAR(inner.at(4, 8), sum, 1e-11);
}

TEST(Block, NothingDependsOnTheThreads) {
  auto update = random_update();
  const auto x = random_block(kColumns, 16, 1);
  const auto y = random_block(kRows, 16, 2);
  EXPECT_EQ(times(update, x, 1).values, times(update, x, 3).values);
  EXPECT_EQ(transposed_times(update, y, 1).values, transposed_times(update, y, 3).values);
  EXPECT_EQ(cross(y, y, 1).values, cross(y, y, 3).values);
  EXPECT_EQ(squared_norm(update, 1), squared_norm(update, 3));
}

TEST(Block, TheNormOfAnUpdateIsSummedWhileItIsMultiplied) {
  auto update = random_update();
  double square = 0;
  for (std::size_t i = 0; i < kRows * kColumns; ++i) {
    square += double{update.row(0)[i]} * double{update.row(0)[i]};
  }
  EXPECT_NEAR(squared_norm(update, 2), square, 1e-9 * square);
}

TEST(Block, OrthonormalVectorsLeaveOutWhatIsNotNew) {
  auto block = random_block(kRows, 6, 1);
  for (std::size_t i = 0; i < kRows; ++i) {
    block.values[i * 6 + 5] = block.values[i * 6] - 2 * block.values[i * 6 + 3];
  }
  orthonormalize(block, 0, 2);
  ASSERT_EQ(block.count, 5U);
  const auto inner = cross(block, block, 1);
  for (std::size_t i = 0; i < 5; ++i) {
    for (std::size_t j = 0; j < 5; ++j) EXPECT_NEAR(inner.at(i, j), i == j ? 1 : 0, 1e-6);
  }
  orthonormalize(block, 2, 1);
  EXPECT_EQ(block.count, 0U);
  orthonormalize(block, 0, 1);
  EXPECT_EQ(block.count, 0U);
}

TEST(Block, TheDistanceToAProductIsThatOfItsElements) {
  DenseUpdate update(kRows, kColumns);
  const auto left = random_block(kRows, 3, 1);
  const auto right = random_block(kColumns, 3, 2);
  for (std::size_t i = 0; i < kRows; ++i) {
    for (std::size_t j = 0; j < kColumns; ++j) {
      for (std::size_t k = 0; k < 3; ++k) {
        update.row(i)[j] += left.values[i * 3 + k] * right.values[j * 3 + k];
      }
    }
  }
  EXPECT_LT(squared_distance(update, left, right, 2), 1e-12 * squared_norm(update, 2));
  update.row(1099)[699] += 3;
  EXPECT_NEAR(squared_distance(update, left, right, 2), 9, 1e-3);
}

}  // namespace
}  // namespace ferrule::factor
