// SPDX-License-Identifier: Apache-2.0
#include "merge/singular.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "merge/dense.hpp"

namespace ferrule::merging {
namespace {

constexpr int kMaxSweeps = 60;
constexpr double kSmall = 1e-15;

/// Turns the rows i and j of both against each other until those of `a` are at right angles; false
/// if they were.
bool rotate(Matrix<double>& a, Matrix<double>& v, std::size_t i, std::size_t j) {
  double* const x = a.row(i);
  double* const y = a.row(j);
  double xx = 0, yy = 0, xy = 0;
  for (std::size_t k = 0; k < a.columns; ++k) {
    xx += x[k] * x[k];
    yy += y[k] * y[k];
    xy += x[k] * y[k];
  }
  if (std::fabs(xy) <= kSmall * std::sqrt(xx * yy) || xy == 0) return false;
  const double zeta = (yy - xx) / (2 * xy);
  const double t = std::copysign(1, zeta) / (std::fabs(zeta) + std::sqrt(1 + zeta * zeta));
  const double c = 1 / std::sqrt(1 + t * t);
  const double s = c * t;
  const auto turn = [&](double* p, double* q, std::size_t size) {
    for (std::size_t k = 0; k < size; ++k) {
      const double old = p[k];
      p[k] = c * old - s * q[k];
      q[k] = s * old + c * q[k];
    }
  };
  turn(x, y, a.columns);
  turn(v.row(i), v.row(j), v.columns);
  return true;
}

}  // namespace

Singular singular_values(const Matrix<double>& a) {
  const bool wide = a.rows < a.columns;
  // Rows are the vectors that are turned: as few as there are.
  auto work = wide ? a : transposed(a);
  auto turns = identity<double>(work.rows);
  for (int sweep = 0; sweep < kMaxSweeps; ++sweep) {
    bool any = false;
    for (std::size_t i = 0; i + 1 < work.rows; ++i) {
      for (std::size_t j = i + 1; j < work.rows; ++j) any = rotate(work, turns, i, j) || any;
    }
    if (!any) break;
  }
  std::vector<double> norms(work.rows);
  for (std::size_t i = 0; i < work.rows; ++i) {
    double square = 0;
    for (std::size_t k = 0; k < work.columns; ++k) square += work.at(i, k) * work.at(i, k);
    norms[i] = std::sqrt(square);
  }
  std::vector<std::size_t> order(work.rows);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t x, std::size_t y) { return norms[x] > norms[y]; });
  Matrix<double> left(work.rows, work.rows);
  Matrix<double> right(work.columns, work.rows);
  Singular out;
  for (std::size_t k = 0; k < order.size(); ++k) {
    const auto from = order[k];
    out.s.push_back(norms[from]);
    for (std::size_t i = 0; i < work.rows; ++i) left.at(i, k) = turns.at(from, i);
    for (std::size_t j = 0; j < work.columns; ++j) {
      right.at(j, k) = norms[from] == 0 ? 0 : work.at(from, j) / norms[from];
    }
  }
  out.u = wide ? std::move(left) : std::move(right);
  out.v = wide ? std::move(right) : std::move(left);
  return out;
}

Matrix<double> spectral_part(const Singular& of, std::size_t first, std::size_t end) {
  Matrix<double> out(of.u.rows, of.v.rows);
  for (std::size_t i = 0; i < out.rows; ++i) {
    for (std::size_t k = first; k < std::min(end, of.s.size()); ++k) {
      const double factor = of.u.at(i, k) * of.s[k];
      for (std::size_t j = 0; j < out.columns; ++j) out.at(i, j) += factor * of.v.at(j, k);
    }
  }
  return out;
}

template <typename T>
Matrix<T> orthonormal(Matrix<T> a) {
  const auto rows = a.rows;
  const auto columns = std::min(a.columns, a.rows);
  std::vector<T> factors(columns);
  for (std::size_t k = 0; k < columns; ++k) {
    double square = 0;
    for (std::size_t i = k + 1; i < rows; ++i) {
      square += static_cast<double>(a.at(i, k)) * static_cast<double>(a.at(i, k));
    }
    const auto alpha = static_cast<double>(a.at(k, k));
    if (square == 0) {
      factors[k] = 0;
      continue;
    }
    const double beta =
        alpha >= 0 ? -std::sqrt(alpha * alpha + square) : std::sqrt(alpha * alpha + square);
    factors[k] = static_cast<T>((beta - alpha) / beta);
    for (std::size_t i = k + 1; i < rows; ++i) a.at(i, k) /= static_cast<T>(alpha - beta);
    a.at(k, k) = static_cast<T>(beta);
    for (std::size_t j = k + 1; j < a.columns; ++j) {
      T dot = a.at(k, j);
      for (std::size_t i = k + 1; i < rows; ++i) dot += a.at(i, k) * a.at(i, j);
      dot *= factors[k];
      a.at(k, j) -= dot;
      for (std::size_t i = k + 1; i < rows; ++i) a.at(i, j) -= dot * a.at(i, k);
    }
  }
  Matrix<T> q(rows, columns);
  for (std::size_t j = 0; j < columns; ++j) q.at(j, j) = 1;
  for (std::size_t k = columns; k-- > 0;) {
    for (std::size_t j = k; j < columns; ++j) {
      T dot = q.at(k, j);
      for (std::size_t i = k + 1; i < rows; ++i) dot += a.at(i, k) * q.at(i, j);
      dot *= factors[k];
      q.at(k, j) -= dot;
      for (std::size_t i = k + 1; i < rows; ++i) q.at(i, j) -= dot * a.at(i, k);
    }
  }
  return q;
}

template Matrix<float> orthonormal(Matrix<float>);
template Matrix<double> orthonormal(Matrix<double>);

}  // namespace ferrule::merging
