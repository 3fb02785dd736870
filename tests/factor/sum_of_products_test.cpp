// SPDX-License-Identifier: Apache-2.0
#include "factor/sum_of_products.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "base/tensor_view_access.hpp"
#include "factor/dense_algebra.hpp"

namespace ferrule::factor {
namespace {

/// A product of factors in F32, out x rank and rank x in, with the memory it needs.
struct Product {
  Product(std::size_t out, std::size_t rank, std::size_t in, unsigned seed)
      : a(rank * in), b(out * rank), a_shape{rank * in}, b_shape{out * rank} {
    std::mt19937 engine(seed);
    std::normal_distribution<float> normal;
    for (auto& value : a) value = normal(engine);
    for (auto& value : b) value = normal(engine);
    term.a = {.tensor = TensorViewAccess::unchecked(Dtype::kF32, a_shape, bytes(a)),
              .count = rank,
              .length = in,
              .vector_stride = in};
    term.b = {.tensor = TensorViewAccess::unchecked(Dtype::kF32, b_shape, bytes(b)),
              .count = rank,
              .length = out,
              .vector_stride = 1,
              .element_stride = rank};
  }
  Product(const Product&) = delete;

  static std::span<const std::byte> bytes(const std::vector<float>& v) {
    return std::as_bytes(std::span(v));
  }

  std::vector<float> a, b;
  std::vector<std::uint64_t> a_shape, b_shape;
  Term term;
};

Matrix formed(std::span<const Term> terms, std::size_t out, std::size_t in) {
  const auto b = stacked_b(terms, 0, out);
  const auto a = stacked_a(terms, 0, in);
  Matrix product(out, in);
  for (std::size_t i = 0; i < out; ++i) {
    for (std::size_t k = 0; k < b.columns; ++k) {
      for (std::size_t j = 0; j < in; ++j) product.at(i, j) += b.at(i, k) * a.at(k, j);
    }
  }
  return product;
}

double norm(const Matrix& matrix) {
  double sum = 0;
  for (const double value : matrix.values) sum += value * value;
  return std::sqrt(sum);
}

FactorLayout layout(std::size_t out, std::size_t in) {
  return {.path = "x", .in = in, .out = out, .a_tail = {in}, .b_tail = {}};
}

/// |sum - what was written of rank `rank`|.
double written_error(const std::vector<Term>& terms, std::size_t out, std::size_t in,
                     std::size_t rank) {
  const auto decomposed = Decomposed::of(terms, out, in);
  FactorPair pair(layout(out, in), rank, Dtype::kF64);
  decomposed.write(rank, 0, pair);
  auto with = terms;
  with.push_back({.factor = -1, .a = pair.a_vectors(0), .b = pair.b_vectors(0)});
  return norm(formed(with, out, in));
}

TEST(Decomposed, IsTheBestOfEveryRankWhicheverWayItIsComputed) {
  // The second is large enough for the way by inner products.
  for (const auto& [out, in, rank] : {std::tuple(20U, 24U, 4U), std::tuple(700U, 900U, 16U)}) {
    const Product one(out, rank, in, 1), two(out, rank, in, 2);
    std::vector<Term> terms = {one.term, two.term};
    terms[1].factor = -0.75;
    const auto svd = product_svd(stacked_b(terms, 0, out), stacked_a(terms, 0, in));
    const auto decomposed = Decomposed::of(terms, out, in);
    ASSERT_EQ(decomposed.values().size(), 2 * rank);
    for (std::size_t i = 0; i < 2 * rank; ++i) {
      EXPECT_NEAR(decomposed.values()[i], svd.values[i], 1e-8 * svd.values[0]);
    }
    for (const std::size_t kept : {1U, 3U, 2U * rank}) {
      double rest = 0;
      for (auto i = kept; i < svd.values.size(); ++i) rest += svd.values[i] * svd.values[i];
      EXPECT_NEAR(written_error(terms, out, in, kept), std::sqrt(rest), 1e-9 * svd.values[0]);
    }
  }
}

TEST(Decomposed, OfWhatCancelsIsNothing) {
  const Product one(700, 16, 900, 1);
  const Product same(700, 16, 900, 1);
  std::vector<Term> terms = {one.term, same.term};
  terms[1].factor = -1;
  const auto decomposed = Decomposed::of(terms, 700, 900);
  EXPECT_TRUE(decomposed.values().empty());
  EXPECT_EQ(decomposed.squared_norm(), 0);
}

TEST(Decomposed, OfWhatNearlyCancelsKeepsItsDigits) {
  const Product one(700, 8, 900, 1);
  Product other(700, 8, 900, 1);
  other.b[5] += 0.001F;
  std::vector<Term> terms = {one.term, other.term};
  terms[1].factor = -1;
  const double truth = norm(formed(terms, 700, 900));
  const auto decomposed = Decomposed::of(terms, 700, 900);
  EXPECT_NEAR(std::sqrt(decomposed.squared_norm()), truth, 1e-9 * truth);
  EXPECT_LT(written_error(terms, 700, 900, 1), 1e-9 * truth);
}

TEST(SquaredNorm, IsThatOfTheSum) {
  const Product one(30, 3, 40, 1), two(30, 5, 40, 2);
  const std::vector<Term> terms = {one.term, two.term};
  const double truth = norm(formed(terms, 30, 40));
  EXPECT_NEAR(squared_norm(terms), truth * truth, 1e-11 * truth * truth);
}

}  // namespace
}  // namespace ferrule::factor
