// SPDX-License-Identifier: Apache-2.0
#include "factor/truncated.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <span>
#include <utility>
#include <vector>

namespace ferrule::factor {
namespace {

std::span<const float> values_of(const DenseUpdate& update) {
  return {update.row(0), update.rows() * update.columns()};
}

DenseUpdate copy_of(const DenseUpdate& update) {
  DenseUpdate copy(update.rows(), update.columns());
  std::ranges::copy(values_of(update), copy.row(0));
  return copy;
}

/// 600 x 500, the singular values 1 / (1 + i) of random vectors, which are nearly orthogonal.
DenseUpdate decaying() {
  DenseUpdate update(600, 500);
  std::mt19937 engine(7);
  std::normal_distribution<float> normal;
  for (int i = 0; i < 20; ++i) {
    std::vector<float> left(update.rows()), right(update.columns());
    for (auto& value : left) value = normal(engine);
    for (auto& value : right) value = normal(engine);
    for (std::size_t r = 0; r < update.rows(); ++r) {
      for (std::size_t c = 0; c < update.columns(); ++c) {
        update.row(r)[c] += left[r] * right[c] / static_cast<float>(1 + i) / 500.0F;
      }
    }
  }
  return update;
}

TEST(Truncated, WhatIsKeptIsWhatTheSingularValuesPromise) {
  auto update = decaying();
  double total = 0;
  for (const float value : values_of(update)) total += double{value} * double{value};
  const auto parts = *truncated(std::move(update), {.rank = 8});
  double kept = 0;
  for (const double value : parts.values()) kept += value * value;
  EXPECT_EQ(parts.values().size(), 8U);
  EXPECT_GT(kept, 0.9 * total);
  EXPECT_LE(kept, total * (1 + 1e-6));
}

/// 400 x 320 of random vectors with these weights, and noise of that size.
DenseUpdate weighted(double (*weight)(int), int count, float noise) {
  DenseUpdate update(400, 320);
  std::mt19937 engine(3);
  std::normal_distribution<float> normal;
  std::generate_n(update.row(0), 400 * 320, [&] { return noise * normal(engine); });
  for (int i = 0; i < count; ++i) {
    std::vector<float> left(update.rows()), right(update.columns());
    for (auto& value : left) value = normal(engine);
    for (auto& value : right) value = normal(engine);
    const auto factor = static_cast<float>(weight(i));
    for (std::size_t r = 0; r < update.rows(); ++r) {
      for (std::size_t c = 0; c < update.columns(); ++c) {
        update.row(r)[c] += left[r] * right[c] * factor;
      }
    }
  }
  return update;
}

TEST(Truncated, TheErrorIsWithinOnePercentOfTheOptimum) {
  const struct {
    double (*weight)(int);
    int count;
    float noise;
  } cases[] = {{[](int) { return 1.0; }, 0, 1},
               {[](int) { return 1.0; }, 300, 0},
               {[](int i) { return 1.0 / (1 + i); }, 300, 0},
               {[](int i) { return std::pow(0.9, i); }, 200, 0},
               {[](int i) { return std::pow(0.9, i); }, 20, 0.1F},
               {[](int) { return 1.0; }, 16, 1e-5F},
               {[](int i) { return std::pow(0.5, i); }, 30, 1e-3F}};
  for (const auto& [weight, count, noise] : cases) {
    const auto update = weighted(weight, count, noise);
    Matrix matrix(update.rows(), update.columns());
    std::ranges::copy(values_of(update), matrix.values.begin());
    const auto best = Decomposed::of(matrix);
    for (const std::size_t rank : {1UL, 8UL, 32UL}) {
      const Decomposed found[] = {*truncated(copy_of(update), {.rank = rank})};
      const Decomposed full[] = {best};
      EXPECT_LE(kept_of(found, rank).relative_error,
                1.01 * kept_of(full, rank).relative_error + 1e-7)
          << "rank " << rank << " of " << count << " vectors and noise of " << noise;
    }
  }
}

TEST(Truncated, AnUpdateOfFewerVectorsThanAskedForIsFoundWhole) {
  auto update = weighted([](int i) { return 1.0 / (1 + i); }, 5, 0);
  const Decomposed found[] = {*truncated(std::move(update), {.rank = 20})};
  EXPECT_GE(found[0].values().size(), 5U);
  EXPECT_LT(kept_of(found, 20).relative_error, 1e-6);
}

TEST(Truncated, TheResultDoesNotDependOnTheThreads) {
  const auto update = decaying();
  const auto one = *truncated(copy_of(update), {.rank = 8}, 1);
  const auto four = *truncated(copy_of(update), {.rank = 8}, 4);
  EXPECT_TRUE(std::ranges::equal(one.values(), four.values()));
}

TEST(Truncated, AnUpdateOfZerosHasNoValues) {
  EXPECT_TRUE(truncated(DenseUpdate(300, 300), {.rank = 4})->values().empty());
}

TEST(Truncated, ValuesThatAreMadeOnTheWayGiveTheSame) {
  const auto update = decaying();
  for (const std::size_t columns : {std::size_t{40}, update.columns()}) {
    const auto made = [&](std::size_t row, std::size_t column, std::span<float> out) {
      std::copy_n(update.row(row) + column, out.size(), out.begin());
    };
    DenseUpdate cut(update.rows(), columns);
    for (std::size_t i = 0; i < cut.rows(); ++i) std::copy_n(update.row(i), columns, cut.row(i));
    const auto stored = truncated(std::move(cut), {.rank = 8});
    const auto later = truncated(DenseUpdate(update.rows(), columns, made), {.rank = 8});
    EXPECT_TRUE(std::ranges::equal(stored->values(), later->values()));
  }
}

TEST(Truncated, ValuesThatAreNotFiniteHaveNoDecomposition) {
  for (const std::size_t size : {20U, 300U}) {
    DenseUpdate update(size, size);
    update.row(1)[3] = std::numeric_limits<float>::infinity();
    EXPECT_FALSE(truncated(std::move(update), {.rank = 4}).has_value());
  }
}

}  // namespace
}  // namespace ferrule::factor
