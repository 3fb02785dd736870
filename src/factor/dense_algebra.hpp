// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "factor/matrix.hpp"

/// Decompositions of small matrices, by Eigen, which only dense_algebra.cpp includes.
namespace ferrule::factor {

/// U diag(values) Vt, values descending. U is rows x n, Vt n x columns.
struct Svd {
  std::vector<double> values;
  Matrix u;
  Matrix vt;
};

/// All min(rows, columns) singular values and vectors.
Svd svd_of(const Matrix& matrix);

/// The singular value decomposition of b * a, which is never formed: a QR decomposition of each
/// and the SVD of the small core. Backward stable.
Svd product_svd(const Matrix& b, const Matrix& a);

/// What turns the factors of a product b * a into its singular vectors, computed from the inner
/// products of the factors alone.
struct Core {
  /// Singular values of the product, descending.
  std::vector<double> values;
  /// b * right, column i, is the singular vector times sqrt(values[i]).
  Matrix right;
  /// left * a, row i, likewise.
  Matrix left;
};

/// `gram_a` = a a^T and `gram_b` = b^T b, symmetric, of one size. A third of the cost of
/// product_svd, but a squared one in accuracy: nullopt if a singular value would be below 1e-6 of
/// the factors' norms, or the whole product below 1e-3 of them, where its digits are lost.
std::optional<Core> core_of(const Matrix& gram_a, const Matrix& gram_b);

/// An orthonormal basis of the columns, as many as the matrix has (or rows, if these are fewer).
Matrix orthonormal(const Matrix& matrix);

/// Eigenvalues, descending, of a symmetric matrix; column i of `vectors` belongs to value i.
struct SymmetricEigen {
  std::vector<double> values;
  Matrix vectors;
};
SymmetricEigen symmetric_eigen(const Matrix& matrix);
/// The eigenvalues alone, descending.
std::vector<double> symmetric_values(const Matrix& matrix);

/// A matrix t for which t^T gram t is the identity, so that x t is orthonormal if `gram` is x^T x.
/// Directions of which nothing but rounding is left are left out.
Matrix whitening(const Matrix& gram);

}  // namespace ferrule::factor
