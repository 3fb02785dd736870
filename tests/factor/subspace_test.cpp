// SPDX-License-Identifier: Apache-2.0
#include "factor/subspace.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <span>
#include <vector>

#include "factor/rank_rule.hpp"
#include "factor/truncated.hpp"

namespace ferrule::factor {
namespace {

constexpr std::size_t kRows = 320;
constexpr std::size_t kColumns = 288;

/// Random vectors with these weights, and noise of that size.
DenseUpdate weighted(double (*weight)(int), int count, float noise) {
  DenseUpdate update(kRows, kColumns);
  std::mt19937 engine(3);
  std::normal_distribution<float> normal;
  std::generate_n(update.row(0), kRows * kColumns, [&] { return noise * normal(engine); });
  for (int i = 0; i < count; ++i) {
    std::vector<float> left(kRows), right(kColumns);
    for (auto& value : left) value = normal(engine);
    for (auto& value : right) value = normal(engine);
    const auto factor = static_cast<float>(weight(i));
    for (std::size_t r = 0; r < kRows; ++r) {
      for (std::size_t c = 0; c < kColumns; ++c) update.row(r)[c] += left[r] * right[c] * factor;
    }
  }
  return update;
}

double error_of(const Decomposed& decomposed, std::size_t rank) {
  return kept_of({&decomposed, 1}, rank).relative_error;
}

/// What the vectors leave, element by element.
double true_error(const DenseUpdate& update, const Decomposed& found, std::size_t rank) {
  FactorPair pair(FactorLayout::of_weight("x", std::vector<std::uint64_t>{kRows, kColumns}, false),
                  rank, Dtype::kF64);
  found.write(rank, 0, pair);
  const auto* const a = reinterpret_cast<const double*>(pair.a().bytes.data());
  const auto* const b = reinterpret_cast<const double*>(pair.b().bytes.data());
  double distance = 0, norm = 0;
  for (std::size_t i = 0; i < kRows; ++i) {
    for (std::size_t j = 0; j < kColumns; ++j) {
      double rest = update.row(i)[j];
      norm += rest * rest;
      for (std::size_t k = 0; k < rank; ++k) rest -= b[i * rank + k] * a[k * kColumns + j];
      distance += rest * rest;
    }
  }
  return std::sqrt(distance / norm);
}

class Subspace : public testing::Test {
 protected:
  void SetUp() override {
    for (const auto* set : {avx512_half_kernels(), amx_half_kernels()}) {
      if (set != nullptr) kernels_.push_back(set);
    }
  }

  std::vector<const HalfKernels*> kernels_;
};

TEST_F(Subspace, TheErrorIsWithinOnePercentOfTheOptimumAndTrue) {
  const struct {
    double (*weight)(int);
    int count;
    float noise;
  } cases[] = {{[](int) { return 1.0; }, 0, 1},                         // flat
               {[](int) { return 1.0; }, 280, 0},                       // all but flat
               {[](int i) { return 1.0 / (1 + i); }, 280, 0},           // slow
               {[](int i) { return 1.0 / std::sqrt(1 + i); }, 280, 0},  // slower
               {[](int i) { return std::pow(0.9, i); }, 200, 0},        // fast
               {[](int i) { return std::pow(0.97, i); }, 200, 0},
               {[](int i) { return 1.0 / (1 + i); }, 64, 0},        // few vectors
               {[](int i) { return std::pow(0.9, i); }, 20, 0.1F},  // noise below
               {[](int) { return 1.0; }, 16, 1e-2F},
               {[](int i) { return std::pow(0.5, i); }, 30, 1e-3F}};
  for (const auto& [weight, count, noise] : cases) {
    const auto update = weighted(weight, count, noise);
    Matrix matrix(kRows, kColumns);
    std::copy_n(update.row(0), kRows * kColumns, matrix.values.begin());
    const auto best = Decomposed::of(matrix);
    for (const auto* kernels : kernels_) {
      for (const std::size_t rank : {1UL, 8UL, 32UL}) {
        const auto found = leading_by_halves(*kernels, update, rank, 2);
        const auto least = error_of(best, rank);
        if (!found) {
          EXPECT_LT(least, 1e-2) << "rank " << rank << " of " << count << ", noise " << noise;
          continue;
        }
        const auto error = error_of(*found, rank);
        EXPECT_LE(error, 1.01 * least) << "rank " << rank << " of " << count << ", noise " << noise;
        EXPECT_NEAR(true_error(update, *found, rank), error, 2e-3 * error);
        // Where all are about as large, the vectors found keep as much as others would.
        if (least > 0.9) continue;
        EXPECT_NEAR(found->values().front(), best.values().front(), 1e-3 * best.values().front());
      }
    }
  }
}

TEST_F(Subspace, IsNotUsedWhereItIsNotPreciseEnough) {
  const auto few = weighted([](int i) { return 1.0 / (1 + i); }, 5, 0);
  auto infinite = weighted([](int) { return 1.0; }, 0, 1);
  infinite.row(7)[9] = std::numeric_limits<float>::infinity();
  auto huge = weighted([](int) { return 1.0; }, 0, 1e30F);
  const DenseUpdate* const updates[] = {&few, &infinite, &huge};
  for (const auto* kernels : kernels_) {
    for (const auto* update : updates) {
      EXPECT_FALSE(leading_by_halves(*kernels, *update, 8, 1).has_value());
    }
    EXPECT_FALSE(leading_by_halves(*kernels, DenseUpdate(kRows, kColumns), 8, 1).has_value());
  }
}

TEST_F(Subspace, TheResultDoesNotDependOnTheThreads) {
  const auto update = weighted([](int i) { return 1.0 / (1 + i); }, 100, 0.01F);
  for (const auto* kernels : kernels_) {
    const auto one = leading_by_halves(*kernels, update, 8, 1);
    const auto four = leading_by_halves(*kernels, update, 8, 4);
    EXPECT_TRUE(std::ranges::equal(one->values(), four->values()));
  }
}

}  // namespace
}  // namespace ferrule::factor
