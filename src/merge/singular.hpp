// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "merge/method.hpp"

namespace ferrule::merging {

/// a = u diag(s) v^T with u [rows, k], v [columns, k] and s descending, k = min(rows, columns).
struct Singular {
  Matrix<double> u;
  std::vector<double> s;
  Matrix<double> v;
};

/// By one-sided Jacobi rotations: exact to the last bits and slow, for the few methods that change
/// the base by its own decomposition.
Singular singular_values(const Matrix<double>& a);

/// The part of `a` that its singular values from `first` up to `end` make.
Matrix<double> spectral_part(const Singular& of, std::size_t first, std::size_t end);

/// Q of the QR decomposition by Householder's reflections, with the signs that LAPACK gives.
template <typename T>
Matrix<T> orthonormal(Matrix<T> a);

}  // namespace ferrule::merging
