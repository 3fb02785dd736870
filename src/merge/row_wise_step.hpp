// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>

#include "merge/method.hpp"

namespace ferrule::merging {

/// Turns rows of a weight, seen as [out, in], into the new ones; the first of them is row `first`
/// of the whole. `original` are the same rows before any adapter.
template <typename T>
using ChangeRows =
    std::function<void(std::size_t first, Matrix<T>& rows, const Matrix<T>& original)>;

/// A method that makes each row of the new weight of the same row of the old one, so that a few
/// rows at a time are enough, however large the weight is.
struct RowWise {
  bool needs_original = false;
  /// Prepare what all rows need.
  Result<ChangeRows<float>> (*narrow)(const Site& site) = nullptr;
  Result<ChangeRows<double>> (*wide)(const Site& site) = nullptr;
};

/// `factor` b a for `rows` rows of b, which has as many columns as a has rows. Floats are added up
/// as torch's matmul does it (kernels.hpp).
Matrix<float> product(const float* b, std::size_t rows, const Matrix<float>& a, double factor);
Matrix<double> product(const double* b, std::size_t rows, const Matrix<double>& a, double factor);

StepMaker row_wise_maker(const Site& site, const RowWise& method);

}  // namespace ferrule::merging
