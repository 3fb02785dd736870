// SPDX-License-Identifier: Apache-2.0
#include "factor/subspace.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

#include "factor/block.hpp"
#include "factor/convergence.hpp"
#include "factor/dense_algebra.hpp"
#include "factor/half_products.hpp"
#include "factor/multiply.hpp"

namespace ferrule::factor {
namespace {

// Vectors beyond those asked for: twice as many, but no fewer and no more than these. They cost
// little, and with more of them the last of those asked for converge in fewer steps.
constexpr std::size_t kFewestMore = 24;
constexpr std::size_t kMostMore = 128;
constexpr std::size_t kLanes = 32;
constexpr int kMaxSteps = 8;
// Below the first share of |D|^2, what rounding the vectors to bfloat16 adds to the error begins to
// count; below the second also what rounding D does.
constexpr double kFine = 1e-3;
constexpr double kFinest = 2e-5;
// Outside of these bounds of |D|^2 floats may overflow, or vanish, in D^T D x.
constexpr double kLargest = 1e24;
constexpr double kSmallest = 1e-24;
// From here on the rounding to floats leaves vectors that are not quite orthonormal.
constexpr double kIllConditioned = 1e6;
// The share of the least squared error by which that of the vectors may be larger.
constexpr double kAhead = 4e-3;
// Sums of squares are right to about this share.
constexpr double kSumRounding = 1e-6;
// Below this share of the largest squared length a vector is what rounding left.
constexpr double kRounding = 1e-13;

/// Signs: they are exact in bfloat16, and nearly orthogonal.
Block random_signs(std::size_t rows, std::size_t count) {
  constexpr std::size_t kSigns = 4;
  float signs[1U << kSigns][kSigns];
  for (std::size_t bits = 0; bits < std::size(signs); ++bits) {
    for (std::size_t i = 0; i < kSigns; ++i) signs[bits][i] = (bits >> i & 1U) != 0 ? 1.0F : -1.0F;
  }
  Block block(rows, count);
  std::mt19937 engine(1);
  std::uint32_t bits = 0;
  static_assert(kLanes == 32, "as many as the bits of a random number");
  for (std::size_t first = 0; first < block.values.size(); first += kSigns, bits >>= kSigns) {
    if (first % kLanes == 0) bits = static_cast<std::uint32_t>(engine());
    std::copy_n(signs[bits % std::size(signs)], kSigns, block.values.data() + first);
  }
  return block;
}

Matrix product(const Matrix& a, const Matrix& b) {
  Matrix c(a.rows, b.columns);
  multiply(a.values.data(), a.columns, b.values.data(), b.columns, c.values.data(), c.columns,
           a.rows, a.columns, b.columns);
  return c;
}

Matrix transposed(const Matrix& matrix) {
  Matrix out(matrix.columns, matrix.rows);
  for (std::size_t i = 0; i < matrix.rows; ++i) {
    for (std::size_t j = 0; j < matrix.columns; ++j) out.at(j, i) = matrix.at(i, j);
  }
  return out;
}

Matrix first_columns(const Matrix& matrix, std::size_t count) {
  Matrix out(matrix.rows, std::min(count, matrix.columns));
  for (std::size_t i = 0; i < out.rows; ++i) {
    std::copy_n(matrix.row(i).begin(), out.columns, out.row(i).begin());
  }
  return out;
}

bool is_finite(const Matrix& matrix) {
  return std::ranges::all_of(matrix.values, [](double value) { return std::isfinite(value); });
}

/// The error of the best `count` vectors in a space that keeps these squares.
double error_of(const std::vector<double>& values, std::size_t count, double total) {
  const auto kept = static_cast<std::ptrdiff_t>(std::min(count, values.size()));
  return std::sqrt(
      std::max(total - std::accumulate(values.begin(), values.begin() + kept, 0.0), 0.0));
}

/// D = q w^T, nearly, for orthonormal q and orthogonal w of these squared lengths.
Decomposed of_product(const Block& q, const Block& w, const std::vector<double>& squares,
                      double total) {
  std::vector<double> values;
  double kept = 0;
  for (std::size_t j = 0; j < q.count; ++j) {
    values.push_back(std::sqrt(squares[j]));
    kept += squares[j];
  }
  Matrix left(q.rows, q.count), right(w.count, w.rows);
  std::ranges::copy(q.values, left.values.begin());
  for (std::size_t i = 0; i < w.rows; ++i) {
    for (std::size_t j = 0; j < w.count; ++j) {
      right.at(j, i) = double{w.values[i * w.count + j]} / values[j];
    }
  }
  return Decomposed::from(std::move(values), std::move(left), std::move(right),
                          std::max(total - kept, 0.0));
}

/// What a pass tells of D.
struct Ritz {
  std::vector<double> squares;  ///< Of the singular values of D in the space of y, descending.
  Matrix turn;                  ///< y turn are the left singular vectors,
                                ///< z turn the right ones times the singular values.
};

std::optional<Ritz> ritz_of(const Matrix& of_y, const Matrix& of_z) {
  const auto t = whitening(of_y);
  if (t.columns == 0) return std::nullopt;
  auto eigen = symmetric_eigen(product(product(transposed(t), of_z), t));
  auto& squares = eigen.values;
  while (!squares.empty() && !(squares.back() > squares.front() * kRounding)) squares.pop_back();
  if (squares.empty()) return std::nullopt;
  auto turn = product(t, first_columns(eigen.vectors, squares.size()));
  return Ritz{std::move(squares), std::move(turn)};
}

/// What the space of x leaves: it is between what those of y before and after leave.
double middle_error(const Matrix& of_y, std::size_t count, double total) {
  return error_of(symmetric_values(of_y), count, total);
}

/// True if no vectors at all leave much less. What the whole space of y leaves is the most that
/// others than those found could keep in addition (by Ky Fan's inequality).
bool is_least(const Ritz& ritz, double error, double total) {
  const double outside = error_of(ritz.squares, ritz.squares.size(), total);
  return outside * outside + kSumRounding * total <= kAhead * error * error;
}

/// The right singular vectors of D in the space of y.
Block right_vectors(const Block& z, const Ritz& ritz, const Matrix& of_z, unsigned threads) {
  auto turn = ritz.turn;
  for (std::size_t i = 0; i < turn.rows; ++i) {
    for (std::size_t j = 0; j < turn.columns; ++j) turn.at(i, j) /= std::sqrt(ritz.squares[j]);
  }
  auto x = combined(z, turn, threads);
  // By about how much the rounding of floats grows on the way.
  double before = 0;
  for (std::size_t i = 0; i < of_z.rows; ++i) before += of_z.at(i, i);
  const auto& values = turn.values;
  const double after = std::inner_product(values.begin(), values.end(), values.begin(), 0.0);
  if (std::sqrt(before * after) > kIllConditioned) orthonormalize(x, 0, threads);
  return x;
}

}  // namespace

std::optional<Decomposed> leading_by_halves(const HalfKernels& kernels, const DenseUpdate& update,
                                            std::size_t count, unsigned threads) {
  const auto more = std::clamp(2 * count, kFewestMore, kMostMore);
  auto x = random_signs(update.columns(), (count + more + kLanes - 1) / kLanes * kLanes);
  auto precision = HalfPrecision::kFine;
  HalfMultiplier multiplier(kernels, update, threads);
  Convergence convergence;
  for (int steps = 1;; ++steps) {
    const auto [y, z, total] = multiplier.products(x, precision);
    if (!(total > kSmallest && total < kLargest)) return std::nullopt;
    const auto of_y = cross(y, y, threads);
    const auto of_z = cross(z, z, threads);
    if (!is_finite(of_y) || !is_finite(of_z)) return std::nullopt;
    const auto ritz = ritz_of(of_y, of_z);
    if (!ritz) return std::nullopt;
    const double error = error_of(ritz->squares, count, total);
    if (error * error < kFinest * total) return std::nullopt;
    const bool reached = steps >= kMaxSteps || is_least(*ritz, error, total) ||
                         convergence.reached(middle_error(of_y, count, total), error);
    if (reached && (precision == HalfPrecision::kFinest || error * error >= kFine * total)) {
      const auto turn = first_columns(ritz->turn, count);
      return of_product(combined(y, turn, threads), combined(z, turn, threads), ritz->squares,
                        total);
    }
    precision = error * error >= kFine * total ? HalfPrecision::kFine : HalfPrecision::kFinest;
    x = right_vectors(z, *ritz, of_z, threads);
  }
}

}  // namespace ferrule::factor
