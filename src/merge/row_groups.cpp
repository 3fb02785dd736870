// SPDX-License-Identifier: Apache-2.0
#include "merge/row_groups.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "merge/dense.hpp"
#include "merge/torch_random.hpp"

namespace ferrule::merging {
namespace {

// What PEFT gives to KMeans.
constexpr std::uint64_t kSeed = 123456789;
constexpr int kMostRounds = 10;
constexpr double kTolerance = 1e-4;

// Rows that are taken at a time, so that sums are loaded and stored less often.
constexpr std::size_t kAtOnce = 4;

/// sums += the rows of x from row k on, each times its factor.
void add_rows(const Matrix<double>& x, std::size_t k, const double* factors, double* sums) {
  const double *a = x.row(k), *b = x.row(k + 1), *c = x.row(k + 2), *d = x.row(k + 3);
  for (std::size_t j = 0; j < x.columns; ++j) {
    sums[j] += factors[0] * a[j] + factors[1] * b[j] + factors[2] * c[j] + factors[3] * d[j];
  }
}

/// weight x.
Matrix<double> times(const Matrix<float>& weight, const Matrix<double>& x) {
  Matrix<double> out(weight.rows, x.columns);
  for (std::size_t i = 0; i < weight.rows; ++i) {
    const float* const from = weight.row(i);
    double* const sums = out.row(i);
    std::size_t k = 0;
    for (; k + kAtOnce <= weight.columns; k += kAtOnce) {
      const double factors[kAtOnce] = {from[k], from[k + 1], from[k + 2], from[k + 3]};
      add_rows(x, k, factors, sums);
    }
    for (; k < weight.columns; ++k) {
      for (std::size_t j = 0; j < x.columns; ++j) sums[j] += double{from[k]} * x.at(k, j);
    }
  }
  return out;
}

/// weight^T y.
Matrix<double> transposed_times(const Matrix<float>& weight, const Matrix<double>& y) {
  Matrix<double> out(weight.columns, y.columns);
  std::size_t i = 0;
  for (; i + kAtOnce <= weight.rows; i += kAtOnce) {
    const float *a = weight.row(i), *b = weight.row(i + 1), *c = weight.row(i + 2),
                *d = weight.row(i + 3);
    for (std::size_t k = 0; k < weight.columns; ++k) {
      const double factors[kAtOnce] = {a[k], b[k], c[k], d[k]};
      add_rows(y, i, factors, out.row(k));
    }
  }
  for (; i < weight.rows; ++i) {
    for (std::size_t k = 0; k < weight.columns; ++k) {
      for (std::size_t j = 0; j < y.columns; ++j) {
        out.at(k, j) += double{weight.at(i, k)} * y.at(i, j);
      }
    }
  }
  return out;
}

double dot(const double* x, const double* y, std::size_t count) {
  double sums[kAtOnce] = {};
  std::size_t i = 0;
  for (; i + kAtOnce <= count; i += kAtOnce) {
    for (std::size_t lane = 0; lane < kAtOnce; ++lane) sums[lane] += x[i + lane] * y[i + lane];
  }
  for (; i < count; ++i) sums[0] += x[i] * y[i];
  return sums[0] + sums[1] + sums[2] + sums[3];
}

/// An orthonormal basis of the columns. Which one does not matter: only their span does.
Matrix<double> basis_of(const Matrix<double>& x) {
  auto vectors = transposed(x);
  for (std::size_t v = 0; v < vectors.rows; ++v) {
    double* const vector = vectors.row(v);
    for (int pass = 0; pass < 2; ++pass) {  // What the first leaves may be small.
      for (std::size_t other = 0; other < v; ++other) {
        const double* const known = vectors.row(other);
        const double share = dot(known, vector, x.rows);
        for (std::size_t i = 0; i < x.rows; ++i) vector[i] -= share * known[i];
      }
      const double length = std::sqrt(dot(vector, vector, x.rows));
      for (std::size_t i = 0; i < x.rows; ++i) vector[i] = length > 0 ? vector[i] / length : 0;
    }
  }
  return transposed(vectors);
}

/// A basis of what torch.svd_lowrank(weight, q=rank, niter=2) gives as left vectors.
Matrix<double> leading_rows(const Matrix<float>& weight, std::size_t rank, std::uint64_t seed) {
  const bool wide = weight.rows < weight.columns;
  std::vector<float> drawn(std::min(weight.rows, weight.columns) * rank);
  TorchRandom(seed).normal(drawn, 0, 1);
  Matrix<double> x(drawn.size() / rank, rank, {drawn.begin(), drawn.end()});
  // torch works on the transposed matrix if it is wide.
  const auto there = [&](const Matrix<double>& of) {
    return basis_of(wide ? transposed_times(weight, of) : times(weight, of));
  };
  const auto back = [&](const Matrix<double>& of) {
    return basis_of(wide ? times(weight, of) : transposed_times(weight, of));
  };
  auto basis = there(x);
  for (int round = 0; round < 2; ++round) basis = there(back(basis));
  return wide ? back(basis) : basis;
}

double squared_distance(const double* x, const double* y, std::size_t count) {
  double sum = 0;
  for (std::size_t j = 0; j < count; ++j) sum += (x[j] - y[j]) * (x[j] - y[j]);
  return sum;
}

/// numpy.random.RandomState(kSeed).choice(population, count, replace=False, p=...), all rows being
/// equally likely.
std::vector<std::size_t> choose_rows(std::size_t population, std::size_t count) {
  TorchRandom random(kSeed);  // Both are the Mersenne Twister, seeded in the same way.
  const auto share = 1 / static_cast<float>(population);
  std::vector<double> shares(population, double{share});
  std::vector<std::size_t> found;
  while (found.size() < count) {
    std::vector<double> drawn(count - found.size());
    for (auto& value : drawn) {
      const double high = random.next() >> 5;
      const double low = random.next() >> 6;
      value = (high * 67108864 + low) / 9007199254740992;
    }
    for (const auto row : found) shares[row] = 0;
    std::vector<double> up_to(population);
    double sum = 0;
    for (std::size_t i = 0; i < population; ++i) up_to[i] = sum += shares[i];
    for (auto& value : up_to) value /= sum;
    std::vector<std::size_t> added;
    for (const double value : drawn) {
      const auto at = std::upper_bound(up_to.begin(), up_to.end(), value) - up_to.begin();
      const auto row = static_cast<std::size_t>(at);
      if (std::find(added.begin(), added.end(), row) == added.end()) added.push_back(row);
    }
    found.insert(found.end(), added.begin(), added.end());
  }
  return found;
}

/// Lloyd's algorithm.
class Clusters {
 public:
  Clusters(Matrix<double> rows, std::size_t count)
      : rows_(std::move(rows)), centers_(count, rows_.columns), labels_(rows_.rows, count) {
    const auto chosen = choose_rows(rows_.rows, count);
    for (std::size_t c = 0; c < count; ++c) {
      std::copy_n(rows_.row(chosen[c]), rows_.columns, centers_.row(c));
    }
  }

  std::optional<std::vector<std::size_t>> labels() {
    const double tolerance = kTolerance * variance();
    for (int round = 0; round < kMostRounds; ++round) {
      if (!assign()) return std::move(labels_);
      const auto shift = move_centers();
      if (!shift) return std::nullopt;
      if (*shift <= tolerance) break;
    }
    assign();
    return std::move(labels_);
  }

 private:
  /// The mean variance of the columns.
  double variance() const {
    double sum = 0;
    const auto count = static_cast<double>(rows_.rows);
    for (std::size_t j = 0; j < rows_.columns; ++j) {
      double mean = 0, square = 0;
      for (std::size_t i = 0; i < rows_.rows; ++i) mean += rows_.at(i, j) / count;
      for (std::size_t i = 0; i < rows_.rows; ++i) {
        square += (rows_.at(i, j) - mean) * (rows_.at(i, j) - mean);
      }
      sum += square / count;
    }
    return sum / static_cast<double>(rows_.columns);
  }

  /// Gives each row the nearest center. False if nothing changed.
  bool assign() {
    bool changed = false;
    for (std::size_t i = 0; i < rows_.rows; ++i) {
      std::size_t best = 0;
      double least = std::numeric_limits<double>::infinity();
      for (std::size_t c = 0; c < centers_.rows; ++c) {
        const double distance = squared_distance(rows_.row(i), centers_.row(c), rows_.columns);
        if (distance < least) {
          least = distance;
          best = c;
        }
      }
      changed = changed || labels_[i] != best;
      labels_[i] = best;
    }
    return changed;
  }

  /// By how much the squares of the moves add up; nullopt if a center has no rows.
  std::optional<double> move_centers() {
    Matrix<double> sums(centers_.rows, centers_.columns);
    std::vector<std::size_t> counts(centers_.rows);
    for (std::size_t i = 0; i < rows_.rows; ++i) {
      ++counts[labels_[i]];
      double* const sum = sums.row(labels_[i]);
      for (std::size_t j = 0; j < rows_.columns; ++j) sum[j] += rows_.at(i, j);
    }
    double shift = 0;
    for (std::size_t c = 0; c < sums.rows; ++c) {
      if (counts[c] == 0) return std::nullopt;
      double* const center = sums.row(c);
      for (std::size_t j = 0; j < sums.columns; ++j) center[j] /= static_cast<double>(counts[c]);
      shift += squared_distance(center, centers_.row(c), sums.columns);
    }
    centers_ = std::move(sums);
    return shift;
  }

  Matrix<double> rows_;
  Matrix<double> centers_;
  std::vector<std::size_t> labels_;
};

}  // namespace

std::optional<std::vector<std::size_t>> row_groups(const Matrix<float>& weight, std::size_t rank,
                                                   std::size_t groups, std::uint64_t seed) {
  rank = std::min({rank, weight.rows, weight.columns});
  groups = std::min(groups, weight.rows);
  if (rank == 0 || groups == 0) return std::nullopt;
  return Clusters(leading_rows(weight, rank, seed), groups).labels();
}

}  // namespace ferrule::merging
