// SPDX-License-Identifier: Apache-2.0
#include "factor/block.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "base/parallel.hpp"
#include "factor/dense_algebra.hpp"
#include "factor/multiply.hpp"
#include "ferrule/call_control.hpp"

namespace ferrule::factor {
namespace {

// Rows, or columns, of the update that one thread takes at a time.
constexpr std::size_t kShare = 512;
// Rows that are worked on at a time; they stay in the cache.
constexpr std::size_t kStretch = 64;
// A part of the update that is made and multiplied at a time.
constexpr std::size_t kPanelRows = 128;
constexpr std::size_t kPanelColumns = 1024;
// Below this share of the largest squared length a vector is what rounding left.
constexpr double kRounding = 1e-13;

std::size_t shares_of(std::size_t count) { return (count + kShare - 1) / kShare; }

/// Calls work(share, first, last) for the shares of `count`.
template <typename Work>
void share(std::size_t count, unsigned threads, const Work& work) {
  const CallControl::Scope quiet(nullptr);  // These steps are not the caller's progress.
  base::parallel_for(shares_of(count), threads, [&](std::size_t i) {
    work(i, i * kShare, std::min(count, (i + 1) * kShare));
  });
}

double sum_of_squares(const float* values, std::size_t count) {
  constexpr std::size_t kLanes = 8;
  double sums[kLanes] = {};
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      sums[lane] += double{values[i + lane]} * double{values[i + lane]};
    }
  }
  for (; i < count; ++i) sums[0] += double{values[i]} * double{values[i]};
  return std::accumulate(sums, sums + kLanes, 0.0);
}

/// What cross() sums up for rows `first` to `last`.
Matrix cross_of(const Block& x, const Block& y, std::size_t first, std::size_t last) {
  Matrix sum(x.count, y.count);
  Matrix part(x.count, y.count);
  std::vector<double> left(kStretch * x.count);
  std::vector<double> right(kStretch * y.count);
  for (; first < last; first += kStretch) {
    const auto height = std::min(kStretch, last - first);
    const float* from = x.values.data() + first * x.count;
    for (std::size_t i = 0; i < height; ++i) {
      for (std::size_t j = 0; j < x.count; ++j) left[j * height + i] = double{*from++};
    }
    from = y.values.data() + first * y.count;
    std::copy_n(from, height * y.count, right.begin());
    multiply(left.data(), height, right.data(), y.count, part.values.data(), y.count, x.count,
             height, y.count);
    for (std::size_t i = 0; i < sum.values.size(); ++i) sum.values[i] += part.values[i];
  }
  return sum;
}

}  // namespace

Block times(DenseUpdate& update, const Block& x, unsigned threads, double* squared_norm) {
  Block y(update.rows(), x.count);
  std::vector<double> squares(shares_of(update.rows()));
  const bool makes = !update.is_made();
  const auto columns = update.columns();
  share(update.rows(), threads, [&](std::size_t i, std::size_t first, std::size_t last) {
    for (; first < last; first += kPanelRows) {
      const auto height = std::min(kPanelRows, last - first);
      for (std::size_t left = 0; left < columns; left += kPanelColumns) {
        const auto width = std::min(kPanelColumns, columns - left);
        if (makes) update.make(first, height, left, width);
        if (squared_norm != nullptr) {
          for (std::size_t row = first; row < first + height; ++row) {
            squares[i] += sum_of_squares(update.row(row) + left, width);
          }
        }
        add_multiplied(update.row(first) + left, columns, x.values.data() + left * x.count, x.count,
                       y.values.data() + first * x.count, x.count, height, width, x.count);
      }
    }
  });
  update.set_made();
  if (squared_norm != nullptr) {
    *squared_norm = std::accumulate(squares.begin(), squares.end(), 0.0);
  }
  return y;
}

Block transposed_times(const DenseUpdate& update, const Block& y, unsigned threads) {
  Block x(update.columns(), y.count);
  share(update.columns(), threads, [&](std::size_t, std::size_t left, std::size_t right) {
    add_transposed(update.row(0) + left, update.columns(), y.values.data(), y.count,
                   x.values.data() + left * y.count, y.count, right - left, update.rows(), y.count);
  });
  return x;
}

Matrix cross(const Block& x, const Block& y, unsigned threads) {
  std::vector<Matrix> parts(shares_of(x.rows));
  share(x.rows, threads, [&](std::size_t i, std::size_t first, std::size_t last) {
    parts[i] = cross_of(x, y, first, last);
  });
  Matrix sum(x.count, y.count);
  for (const auto& part : parts) {
    for (std::size_t i = 0; i < sum.values.size(); ++i) sum.values[i] += part.values[i];
  }
  return sum;
}

Block combined(const Block& x, const Matrix& c, unsigned threads) {
  const std::vector<float> small(c.values.begin(), c.values.end());
  Block out(x.rows, c.columns);
  share(x.rows, threads, [&](std::size_t, std::size_t first, std::size_t last) {
    multiply(x.values.data() + first * x.count, x.count, small.data(), c.columns,
             out.values.data() + first * c.columns, c.columns, last - first, x.count, c.columns);
  });
  return out;
}

void add_combined(Block& y, const Block& x, const Matrix& c, unsigned threads) {
  const auto more = combined(x, c, threads);
  std::transform(y.values.begin(), y.values.end(), more.values.begin(), y.values.begin(),
                 std::plus<>());
}

void orthonormalize(Block& block, double least, unsigned threads) {
  if (block.count == 0) return;
  const auto eigen = symmetric_eigen(cross(block, block, threads));
  const double smallest = std::max(least * least, eigen.values.front() * kRounding);
  std::size_t kept = 0;
  while (kept < eigen.values.size() && eigen.values[kept] > smallest) ++kept;
  Matrix turn(block.count, kept);
  for (std::size_t i = 0; i < turn.rows; ++i) {
    for (std::size_t j = 0; j < kept; ++j) {
      turn.at(i, j) = eigen.vectors.at(i, j) / std::sqrt(eigen.values[j]);
    }
  }
  block = combined(block, turn, threads);
}

double squared_distance(const DenseUpdate& update, const Block& left, const Block& right,
                        unsigned threads) {
  std::vector<float> turned(right.values.size());
  for (std::size_t i = 0; i < right.rows; ++i) {
    for (std::size_t j = 0; j < right.count; ++j) {
      turned[j * right.rows + i] = right.values[i * right.count + j];
    }
  }
  std::vector<double> sums(shares_of(update.rows()));
  share(update.rows(), threads, [&](std::size_t share, std::size_t first, std::size_t last) {
    std::vector<float> product(kStretch * update.columns());
    for (; first < last; first += kStretch) {
      const auto rows = std::min(kStretch, last - first);
      const auto count = rows * update.columns();
      multiply(left.values.data() + first * left.count, left.count, turned.data(), right.rows,
               product.data(), update.columns(), rows, left.count, update.columns());
      const float* const values = update.row(first);
      for (std::size_t i = 0; i < count; ++i) product[i] = values[i] - product[i];
      sums[share] += sum_of_squares(product.data(), count);
    }
  });
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

}  // namespace ferrule::factor
