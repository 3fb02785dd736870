// SPDX-License-Identifier: Apache-2.0
#include "factor/dense_algebra.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace ferrule::factor {
namespace {

Matrix random_matrix(std::size_t rows, std::size_t columns, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<double> normal;
  Matrix matrix(rows, columns);
  for (auto& value : matrix.values) value = normal(engine);
  return matrix;
}

Matrix times(const Matrix& a, const Matrix& b) {
  Matrix product(a.rows, b.columns);
  for (std::size_t i = 0; i < a.rows; ++i) {
    for (std::size_t j = 0; j < b.columns; ++j) {
      for (std::size_t k = 0; k < a.columns; ++k) product.at(i, j) += a.at(i, k) * b.at(k, j);
    }
  }
  return product;
}

Matrix transposed(const Matrix& a) {
  Matrix out(a.columns, a.rows);
  for (std::size_t i = 0; i < a.rows; ++i) {
    for (std::size_t j = 0; j < a.columns; ++j) out.at(j, i) = a.at(i, j);
  }
  return out;
}

double distance(const Matrix& a, const Matrix& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.values.size(); ++i) {
    sum += (a.values[i] - b.values[i]) * (a.values[i] - b.values[i]);
  }
  return std::sqrt(sum);
}

Matrix put_together(const Svd& svd) {
  Matrix scaled = svd.u;
  for (std::size_t i = 0; i < scaled.rows; ++i) {
    for (std::size_t j = 0; j < scaled.columns; ++j) scaled.at(i, j) *= svd.values[j];
  }
  return times(scaled, svd.vt);
}

TEST(Svd, GivesTheMatrixBack) {
  for (const auto& [rows, columns] : {std::pair(7, 5), std::pair(5, 7), std::pair(60, 40)}) {
    const auto matrix =
        random_matrix(static_cast<std::size_t>(rows), static_cast<std::size_t>(columns), 1);
    EXPECT_LT(distance(put_together(svd_of(matrix)), matrix), 1e-12) << rows;
  }
}

TEST(ProductSvd, IsThatOfTheProduct) {
  for (const std::size_t rank : {3U, 12U, 30U}) {
    const auto b = random_matrix(20, rank, 2);
    const auto a = random_matrix(rank, 24, 3);
    const auto product = times(b, a);
    const auto svd = product_svd(b, a);
    const auto truth = svd_of(product);
    EXPECT_LT(distance(put_together(svd), product), 1e-11) << rank;
    for (std::size_t i = 0; i < svd.values.size(); ++i) {
      EXPECT_NEAR(svd.values[i], truth.values[i], 1e-11) << rank;
    }
  }
}

TEST(Core, GivesTheSingularValuesAndVectors) {
  const auto b = random_matrix(50, 6, 4);
  const auto a = random_matrix(6, 40, 5);
  const auto core = core_of(times(a, transposed(a)), times(transposed(b), b));
  ASSERT_TRUE(core);
  const auto truth = product_svd(b, a);
  for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(core->values[i], truth.values[i], 1e-10);
  EXPECT_LT(distance(times(times(b, core->right), times(core->left, a)), times(b, a)), 1e-10);
}

TEST(Core, RefusesWhatItsDigitsDoNotHold) {
  auto b = random_matrix(50, 6, 4);
  const auto a = random_matrix(6, 40, 5);
  for (std::size_t i = 0; i < b.rows; ++i) b.at(i, 5) = b.at(i, 4) * (1 + 1e-9);
  EXPECT_FALSE(core_of(times(a, transposed(a)), times(transposed(b), b)));
  EXPECT_FALSE(core_of(Matrix(4, 4), Matrix(4, 4)));
}

TEST(Orthonormal, SpansTheColumns) {
  const auto matrix = random_matrix(30, 4, 6);
  const auto q = orthonormal(matrix);
  const auto gram = times(transposed(q), q);
  for (std::size_t i = 0; i < 4; ++i) {
    for (std::size_t j = 0; j < 4; ++j) EXPECT_NEAR(gram.at(i, j), i == j ? 1 : 0, 1e-14);
  }
  EXPECT_LT(distance(times(q, times(transposed(q), matrix)), matrix), 1e-13);
}

TEST(SymmetricEigen, IsDescending) {
  const auto half = random_matrix(5, 9, 7);
  const auto matrix = times(half, transposed(half));
  const auto eigen = symmetric_eigen(matrix);
  Matrix scaled = eigen.vectors;
  for (std::size_t i = 0; i < 5; ++i) {
    for (std::size_t j = 0; j < 5; ++j) scaled.at(i, j) *= eigen.values[j];
    EXPECT_GE(eigen.values[i == 0 ? 0 : i - 1], eigen.values[i]);
  }
  EXPECT_LT(distance(times(scaled, transposed(eigen.vectors)), matrix), 1e-12);
  const auto values = symmetric_values(matrix);
  ASSERT_EQ(values.size(), 5U);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_NEAR(values[i], eigen.values[i], 1e-12);
}

TEST(Whitening, MakesVectorsOrthonormal) {
  for (const double last : {1.0, 1e-8, 0.0}) {
    auto vectors = random_matrix(40, 6, 4);
    for (std::size_t i = 0; i < 40; ++i) {
      vectors.at(i, 5) = last * vectors.at(i, 5) + vectors.at(i, 0);
    }
    const auto white = times(vectors, whitening(times(transposed(vectors), vectors)));
    ASSERT_EQ(white.columns, last == 1.0 ? 6U : 5U);
    const auto gram = times(transposed(white), white);
    for (std::size_t i = 0; i < gram.rows; ++i) {
      for (std::size_t j = 0; j < gram.columns; ++j) {
        EXPECT_NEAR(gram.at(i, j), i == j ? 1 : 0, 1e-9);
      }
    }
  }
}

TEST(Whitening, NothingIsLeftOfZeros) { EXPECT_EQ(whitening(Matrix(3, 3)).columns, 0U); }

}  // namespace
}  // namespace ferrule::factor
