// SPDX-License-Identifier: Apache-2.0
#include "factor/truncated.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <random>
#include <utility>

#include "base/parallel.hpp"
#include "factor/dense_algebra.hpp"
#include "factor/multiply.hpp"
#include "ferrule/call_control.hpp"

namespace ferrule::factor {
namespace {

// Up to this many rows or columns a full decomposition takes milliseconds.
constexpr std::size_t kFull = 256;
// Vectors beyond those asked for: they make the last ones converge.
constexpr std::size_t kMore = 8;
constexpr int kMaxRounds = 12;
// Rows of the update that are multiplied at a time; they stay in the cache with what they meet.
constexpr std::size_t kStretch = 64;
// Rows or columns that are worth a thread's while.
constexpr std::size_t kThreadShare = 256;
constexpr double kStanding = 5e-4;
// Below this share of the whole, total - kept is mostly rounding.
constexpr double kCancels = 1e-4;

/// `count` vectors side by side.
struct Block {
  Block(std::size_t length, std::size_t vectors)
      : rows(length), count(vectors), values(length * vectors) {}

  std::size_t rows;
  std::size_t count;
  std::vector<float> values;
};

Block random_block(std::size_t rows, std::size_t count) {
  Block block(rows, count);
  std::mt19937 engine(1);
  std::normal_distribution<float> normal;
  for (auto& value : block.values) value = normal(engine);
  return block;
}

/// Calls work(first, last) for shares of `count`, from up to `threads` threads.
template <typename Work>
void share(std::size_t count, unsigned threads, const Work& work) {
  const CallControl::Scope quiet(nullptr);  // These steps are not the caller's progress.
  const auto shares = (count + kThreadShare - 1) / kThreadShare;
  base::parallel_for(shares, threads, [&](std::size_t i) {
    work(i * kThreadShare, std::min(count, (i + 1) * kThreadShare));
  });
}

/// D x.
Block times(const DenseUpdate& update, const Block& x, unsigned threads) {
  Block y(update.rows, x.count);
  share(update.rows, threads, [&](std::size_t first, std::size_t last) {
    multiply(update.values.data() + first * update.columns, update.columns, x.values.data(),
             x.count, y.values.data() + first * x.count, x.count, last - first, update.columns,
             x.count);
  });
  return y;
}

/// D^T y.
Block transposed_times(const DenseUpdate& update, const Block& y, unsigned threads) {
  Block x(update.columns, y.count);
  share(update.columns, threads, [&](std::size_t left, std::size_t right) {
    for (std::size_t first = 0; first < update.rows; first += kStretch) {
      const auto rows = std::min(kStretch, update.rows - first);
      add_transposed(update.values.data() + first * update.columns + left, update.columns,
                     y.values.data() + first * y.count, y.count, x.values.data() + left * y.count,
                     y.count, right - left, rows, y.count);
    }
  });
  return x;
}

Matrix gram(const Block& block) {
  Matrix sum(block.count, block.count);
  std::vector<double> rows(kStretch * block.count);
  std::vector<double> turned(rows.size());
  Matrix part(block.count, block.count);
  for (std::size_t first = 0; first < block.rows; first += kStretch) {
    const auto height = std::min(kStretch, block.rows - first);
    const auto* from = block.values.data() + first * block.count;
    for (std::size_t i = 0; i < height; ++i) {
      for (std::size_t j = 0; j < block.count; ++j) {
        rows[i * block.count + j] = turned[j * height + i] =
            static_cast<double>(from[i * block.count + j]);
      }
    }
    multiply(turned.data(), height, rows.data(), block.count, part.values.data(), block.count,
             block.count, height, block.count);
    for (std::size_t i = 0; i < sum.values.size(); ++i) sum.values[i] += part.values[i];
  }
  return sum;
}

/// The block times a small matrix, in double.
Matrix combined(const Block& block, const Matrix& small) {
  Matrix out(block.rows, small.columns);
  std::vector<double> rows(block.values.begin(), block.values.end());
  multiply(rows.data(), block.count, small.values.data(), small.columns, out.values.data(),
           small.columns, block.rows, block.count, small.columns);
  return out;
}

/// Singular values of a block, and what turns it into orthonormal left vectors.
struct Turned {
  std::vector<double> values;
  Matrix vectors;  ///< Right singular vectors, one a column.
  Matrix inverse;  ///< The same, divided by the values.
};

Turned turn(const Block& block) {
  auto eigen = symmetric_eigen(gram(block));
  Turned turned{.values = {}, .vectors = std::move(eigen.vectors), .inverse = {}};
  turned.inverse = turned.vectors;
  const double least = std::max(eigen.values.front(), 0.0) * 1e-14;
  for (std::size_t j = 0; j < eigen.values.size(); ++j) {
    const double value = eigen.values[j] > least ? std::sqrt(eigen.values[j]) : 0;
    turned.values.push_back(value);
    for (std::size_t i = 0; i < turned.inverse.rows; ++i) {
      turned.inverse.at(i, j) = value > 0 ? turned.inverse.at(i, j) / value : 0;
    }
  }
  return turned;
}

Block as_block(const Matrix& matrix) {
  Block block(matrix.rows, matrix.columns);
  std::transform(matrix.values.begin(), matrix.values.end(), block.values.begin(),
                 [](double value) { return static_cast<float>(value); });
  return block;
}

double squared_norm(const DenseUpdate& update) {
  double sum = 0;
  for (const float value : update.values) sum += static_cast<double>(value) * double{value};
  return sum;
}

double kept_by(const std::vector<double>& values, std::size_t count) {
  double sum = 0;
  for (std::size_t i = 0; i < std::min(count, values.size()); ++i) sum += values[i] * values[i];
  return sum;
}

/// |D - U diag(values) Vt|^2, row by row: a difference of squares would lose what is small.
double squared_rest(const DenseUpdate& update, const std::vector<double>& values, const Matrix& u,
                    const Matrix& vt) {
  std::vector<float> left(u.values.begin(), u.values.end());
  std::vector<float> right(vt.values.begin(), vt.values.end());
  for (std::size_t i = 0; i < u.rows; ++i) {
    for (std::size_t j = 0; j < u.columns; ++j) {
      left[i * u.columns + j] *= static_cast<float>(values[j]);
    }
  }
  double sum = 0;
  std::vector<float> product(kStretch * update.columns);
  for (std::size_t first = 0; first < update.rows; first += kStretch) {
    const auto rows = std::min(kStretch, update.rows - first);
    multiply(left.data() + first * u.columns, u.columns, right.data(), vt.columns, product.data(),
             update.columns, rows, u.columns, update.columns);
    const float* const from = update.values.data() + first * update.columns;
    for (std::size_t i = 0; i < rows * update.columns; ++i) {
      const double difference = double{from[i]} - double{product[i]};
      sum += difference * difference;
    }
  }
  return sum;
}

Matrix first_rows_transposed(const Matrix& matrix, std::size_t count) {
  Matrix out(count, matrix.rows);
  for (std::size_t i = 0; i < matrix.rows; ++i) {
    for (std::size_t j = 0; j < count; ++j) out.at(j, i) = matrix.at(i, j);
  }
  return out;
}

Decomposed in_full(const DenseUpdate& update) {
  Matrix matrix(update.rows, update.columns);
  std::copy(update.values.begin(), update.values.end(), matrix.values.begin());
  return Decomposed::of(matrix);
}

/// The leading `count` singular values and vectors.
Decomposed leading(const DenseUpdate& update, std::size_t count, double total, unsigned threads) {
  auto left = times(update, random_block(update.columns, count + kMore), threads);
  double before = -1;
  for (int round = 0;; ++round) {
    // Rows of Q^T D, whose singular values are below those of D and grow with each round.
    const auto q = as_block(combined(left, turn(left).inverse));
    const auto right = transposed_times(update, q, threads);
    auto turned = turn(right);
    const double error = std::sqrt(std::max(total - kept_by(turned.values, count), 0.0));
    const bool stays = before >= 0 && error >= before * (1 - kStanding);
    if (stays || round == kMaxRounds) {
      // D is close to Q (Q^T D): left vectors Q v, right vectors of `right`.
      turned.values.resize(count);
      const auto u = combined(q, turned.vectors);
      const auto v = combined(right, turned.inverse);
      Matrix first(u.rows, count);
      for (std::size_t i = 0; i < u.rows; ++i) {
        std::copy_n(u.row(i).begin(), count, first.row(i).begin());
      }
      auto vt = first_rows_transposed(v, count);
      double rest = std::max(total - kept_by(turned.values, count), 0.0);
      if (rest < kCancels * total) rest = squared_rest(update, turned.values, first, vt);
      return Decomposed::from(std::move(turned.values), std::move(first), std::move(vt), rest);
    }
    before = error;
    left = times(update, as_block(combined(right, turned.inverse)), threads);
  }
}

}  // namespace

Decomposed truncated(const DenseUpdate& update, const RankRule& rule, unsigned threads) {
  const auto full = std::min(update.rows, update.columns);
  if (full <= kFull) return in_full(update);
  const double total = squared_norm(update);
  if (total == 0) return {};
  std::size_t count = std::min(rule.rank.value_or(32), full);
  for (;; count *= 2) {
    if (count + kMore > full / 2) return in_full(update);
    auto decomposed = leading(update, count, total, threads);
    if (rule.rank) return decomposed;
    const Decomposed parts[] = {decomposed};
    const auto rank = choose_rank(rule, parts);
    // Enough if the rule is met by fewer than all that were found.
    if (rank < decomposed.values().size() || decomposed.values().size() < count) return decomposed;
  }
}

}  // namespace ferrule::factor
