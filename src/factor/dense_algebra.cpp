// SPDX-License-Identifier: Apache-2.0
#include "factor/dense_algebra.hpp"

// Only what is under the MPL 2.0; the rest of Eigen is not used.
#define EIGEN_MPL2_ONLY
// The callers divide the modules among threads themselves.
#define EIGEN_DONT_PARALLELIZE

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

namespace ferrule::factor {
namespace {

using Rows = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Dense = Eigen::MatrixXd;
using Index = Eigen::Index;

// Singular values below these shares are left to product_svd.
constexpr double kSmallestValue = 1e-6;
constexpr double kSmallestProduct = 1e-3;
// Beyond this size, divide and conquer is faster than Jacobi's rotations and as accurate.
constexpr Index kLargestJacobi = 24;
// Below this ratio of lengths the inverse of a triangular factor is not exact enough.
constexpr double kWellConditioned = 1e-5;
// Below this share of the largest squared length a vector is what rounding left.
constexpr double kRounding = 1e-13;

Eigen::Map<const Rows> view(const Matrix& matrix) {
  return {matrix.values.data(), static_cast<Index>(matrix.rows),
          static_cast<Index>(matrix.columns)};
}

Matrix matrix_of(const Dense& dense) {
  Matrix matrix(static_cast<std::size_t>(dense.rows()), static_cast<std::size_t>(dense.cols()));
  Eigen::Map<Rows>(matrix.values.data(), dense.rows(), dense.cols()) = dense;
  return matrix;
}

struct Parts {
  Eigen::VectorXd values;
  Dense u;
  Dense v;
};

Parts decompose(const Dense& matrix) {
  constexpr unsigned kThin = Eigen::ComputeThinU | Eigen::ComputeThinV;
  if (std::min(matrix.rows(), matrix.cols()) <= kLargestJacobi) {
    const Eigen::JacobiSVD<Dense> svd(matrix, kThin);
    return {svd.singularValues(), svd.matrixU(), svd.matrixV()};
  }
  const Eigen::BDCSVD<Dense> svd(matrix, kThin);
  return {svd.singularValues(), svd.matrixU(), svd.matrixV()};
}

Svd svd_from(const Eigen::VectorXd& values, const Dense& u, const Dense& v) {
  return {.values = {values.data(), values.data() + values.size()},
          .u = matrix_of(u),
          .vt = matrix_of(v.transpose())};
}

/// The first columns of Q times `small`.
Dense apply_q(const Eigen::HouseholderQR<Dense>& qr, const Dense& small) {
  Dense padded = Dense::Zero(qr.rows(), small.cols());
  padded.topRows(small.rows()) = small;
  padded.applyOnTheLeft(qr.householderQ());
  return padded;
}

Dense upper(const Eigen::HouseholderQR<Dense>& qr) {
  const auto rows = std::min(qr.rows(), qr.cols());
  return qr.matrixQR().topRows(rows).triangularView<Eigen::Upper>();
}

}  // namespace

Svd svd_of(const Matrix& matrix) {
  const auto parts = decompose(view(matrix));
  return svd_from(parts.values, parts.u, parts.v);
}

Svd product_svd(const Matrix& b, const Matrix& a) {
  const Eigen::HouseholderQR<Dense> right(view(a).transpose());
  const Eigen::HouseholderQR<Dense> left(view(b));
  const auto parts = decompose(upper(left) * upper(right).transpose());
  return svd_from(parts.values, apply_q(left, parts.u), apply_q(right, parts.v));
}

std::optional<Core> core_of(const Matrix& gram_a, const Matrix& gram_b) {
  const auto a = view(gram_a);
  const auto b = view(gram_b);
  const double scale = std::sqrt(a.trace() * b.trace());
  if (!(scale > 0)) return std::nullopt;
  const Eigen::LLT<Dense> cholesky(a);
  if (cholesky.info() != Eigen::Success) return std::nullopt;
  const Dense lower = cholesky.matrixL();
  const Eigen::SelfAdjointEigenSolver<Dense> eigen(lower.transpose() * b * lower);
  if (eigen.info() != Eigen::Success) return std::nullopt;
  const auto count = eigen.eigenvalues().size();
  const double smallest = kSmallestValue * scale;
  if (!(eigen.eigenvalues()[0] > smallest * smallest) ||
      !(eigen.eigenvalues().sum() > kSmallestProduct * kSmallestProduct * scale * scale)) {
    return std::nullopt;
  }
  // Ascending to descending.
  const Eigen::VectorXd values = eigen.eigenvalues().reverse().cwiseSqrt();
  const Dense vectors = eigen.eigenvectors().rowwise().reverse();
  const Dense right = lower * vectors * values.cwiseSqrt().cwiseInverse().asDiagonal();
  // Projecting on what b becomes, rather than inverting `lower`, divides by kept values only.
  const Dense left = values.cwiseInverse().asDiagonal() * right.transpose() * b;
  return Core{.values = {values.data(), values.data() + count},
              .right = matrix_of(right),
              .left = matrix_of(left)};
}

Matrix orthonormal(const Matrix& matrix) {
  const Eigen::HouseholderQR<Dense> qr(view(matrix));
  const auto columns = std::min(qr.rows(), qr.cols());
  return matrix_of(apply_q(qr, Dense::Identity(columns, columns)));
}

SymmetricEigen symmetric_eigen(const Matrix& matrix) {
  const Eigen::SelfAdjointEigenSolver<Dense> eigen(view(matrix));
  const Eigen::VectorXd values = eigen.eigenvalues().reverse();
  return {.values = {values.data(), values.data() + values.size()},
          .vectors = matrix_of(eigen.eigenvectors().rowwise().reverse())};
}

std::vector<double> symmetric_values(const Matrix& matrix) {
  const Eigen::SelfAdjointEigenSolver<Dense> eigen(view(matrix), Eigen::EigenvaluesOnly);
  const Eigen::VectorXd values = eigen.eigenvalues().reverse();
  return {values.data(), values.data() + values.size()};
}

Matrix whitening(const Matrix& gram) {
  const Eigen::LLT<Dense> cholesky(view(gram));
  if (cholesky.info() == Eigen::Success) {
    const Dense upper = cholesky.matrixU();
    if (upper.diagonal().minCoeff() > kWellConditioned * upper.diagonal().maxCoeff()) {
      const Dense identity = Dense::Identity(upper.rows(), upper.cols());
      return matrix_of(upper.triangularView<Eigen::Upper>().solve(identity));
    }
  }
  const Eigen::SelfAdjointEigenSolver<Dense> eigen(view(gram));
  const Eigen::VectorXd values = eigen.eigenvalues().reverse();
  Index kept = 0;
  while (kept < values.size() && values[kept] > std::max(values[0] * kRounding, 0.0)) ++kept;
  const Dense vectors = eigen.eigenvectors().rowwise().reverse().leftCols(kept);
  return matrix_of(vectors * values.head(kept).cwiseSqrt().cwiseInverse().asDiagonal());
}

}  // namespace ferrule::factor
