// SPDX-License-Identifier: Apache-2.0
#include "factor/half_products.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <random>
#include <vector>

#include "factor/dense_update.hpp"
#include "factor/half_kernels.hpp"

namespace ferrule::factor {
namespace {

std::vector<const HalfKernels*> all_kernels() {
  std::vector<const HalfKernels*> sets = {plain_half_kernels()};
  for (const auto* set : {avx512_half_kernels(), amx_half_kernels()}) {
    if (set != nullptr) sets.push_back(set);
  }
  return sets;
}

DenseUpdate random_update(std::size_t rows, std::size_t columns) {
  DenseUpdate update(rows, columns);
  std::mt19937 engine(5);
  std::normal_distribution<float> normal;
  for (std::size_t i = 0; i < rows * columns; ++i) update.row(0)[i] = normal(engine);
  return update;
}

Block random_block(std::size_t rows, std::size_t count) {
  Block block(rows, count);
  std::mt19937 engine(6);
  std::normal_distribution<float> normal;
  for (auto& value : block.values) value = normal(engine);
  return block;
}

/// |left - right| / |right|.
double distance(const Block& left, const std::vector<double>& right) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < right.size(); ++i) {
    difference += std::pow(left.values[i] - right[i], 2);
    norm += right[i] * right[i];
  }
  return std::sqrt(difference / norm);
}

std::vector<double> product(const DenseUpdate& update, const Block& x, bool transposed) {
  const auto rows = transposed ? update.columns() : update.rows();
  std::vector<double> out(rows * x.count);
  for (std::size_t i = 0; i < update.rows(); ++i) {
    for (std::size_t j = 0; j < update.columns(); ++j) {
      for (std::size_t v = 0; v < x.count; ++v) {
        const auto [to, from] = transposed ? std::pair(j, i) : std::pair(i, j);
        out[to * x.count + v] += double{update.row(i)[j]} * x.values[from * x.count + v];
      }
    }
  }
  return out;
}

struct Shape {
  std::size_t rows, columns, vectors;
};
// Whole panels and parts of them, one share and several, whole tiles and parts.
constexpr Shape kShapes[] = {{64, 32, 32}, {65, 33, 31}, {580, 200, 40}, {100, 1100, 96}};

TEST(HalfProducts, AreThoseOfTheUpdate) {
  for (const auto* kernels : all_kernels()) {
    for (const auto& [rows, columns, vectors] : kShapes) {
      if (kernels == plain_half_kernels() && rows > 100) continue;
      const auto update = random_update(rows, columns);
      const auto x = random_block(columns, vectors);
      HalfMultiplier multiplier(*kernels, update, 2);
      for (const auto precision : {HalfPrecision::kFine, HalfPrecision::kFinest}) {
        const auto [y, z, norm] = multiplier.products(x, precision);
        EXPECT_LT(distance(y, product(update, x, false)), 4e-3) << kernels->name;
        EXPECT_LT(distance(z, product(update, y, true)), 1e-5) << kernels->name;
        double squares = 0;
        for (std::size_t i = 0; i < rows * columns; ++i) squares += std::pow(update.row(0)[i], 2);
        EXPECT_NEAR(norm, squares, 1e-9 * squares) << kernels->name;
      }
    }
  }
}

TEST(HalfProducts, DoNotDependOnTheThreads) {
  const auto update = random_update(700, 600);
  const auto x = random_block(600, 40);
  for (const auto* kernels : all_kernels()) {
    if (kernels == plain_half_kernels()) continue;
    HalfMultiplier one(*kernels, update, 1), five(*kernels, update, 5);
    const auto left = one.products(x, HalfPrecision::kFinest);
    const auto right = five.products(x, HalfPrecision::kFinest);
    EXPECT_EQ(left.y.values, right.y.values);
    EXPECT_EQ(left.z.values, right.z.values);
    EXPECT_EQ(left.squared_norm, right.squared_norm);
  }
}

}  // namespace
}  // namespace ferrule::factor
