// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "ferrule/adapter.hpp"
#include "merge/method.hpp"
#include "merge/numbers.hpp"

namespace ferrule::merging {

/// The tensor as a matrix of `rows` rows.
template <typename T>
Matrix<T> matrix_of(const AdapterTensor& tensor, std::size_t rows) {
  auto values = numbers_of<T>(tensor.tensor);
  const auto columns = rows == 0 ? 0 : values.size() / rows;
  return {rows, columns, std::move(values)};
}

/// The tensor as a matrix by its first extent.
template <typename T>
Matrix<T> matrix_of(const AdapterTensor& tensor) {
  const auto shape = tensor.tensor.shape();
  return matrix_of<T>(tensor, shape.empty() ? 1 : static_cast<std::size_t>(shape[0]));
}

template <typename T>
Matrix<T> transposed(const Matrix<T>& matrix) {
  Matrix<T> out(matrix.columns, matrix.rows);
  for (std::size_t i = 0; i < matrix.rows; ++i) {
    for (std::size_t j = 0; j < matrix.columns; ++j) out.at(j, i) = matrix.at(i, j);
  }
  return out;
}

/// a b.
template <typename T>
Matrix<T> multiply(const Matrix<T>& a, const Matrix<T>& b) {
  Matrix<T> out(a.rows, b.columns);
  for (std::size_t i = 0; i < a.rows; ++i) {
    T* const sums = out.row(i);
    for (std::size_t k = 0; k < a.columns; ++k) {
      const T factor = a.at(i, k);
      const T* const row = b.row(k);
      for (std::size_t j = 0; j < b.columns; ++j) sums[j] = std::fma(factor, row[j], sums[j]);
    }
  }
  return out;
}

template <typename T>
Matrix<T> identity(std::size_t size) {
  Matrix<T> out(size, size);
  for (std::size_t i = 0; i < size; ++i) out.at(i, i) = 1;
  return out;
}

template <typename T>
void scale(Matrix<T>& matrix, T factor) {
  for (auto& value : matrix.values) value *= factor;
}

/// x with x a = b, by elimination with pivots; nullopt if `a` is singular.
template <typename T>
std::optional<Matrix<T>> solve_right(const Matrix<T>& a, const Matrix<T>& b) {
  // x a = b is a^T x^T = b^T.
  auto left = transposed(a);
  auto right = transposed(b);
  const auto n = left.rows;
  for (std::size_t k = 0; k < n; ++k) {
    std::size_t best = k;
    for (std::size_t i = k + 1; i < n; ++i) {
      if (std::fabs(left.at(i, k)) > std::fabs(left.at(best, k))) best = i;
    }
    if (left.at(best, k) == 0) return std::nullopt;
    if (best != k) {
      for (std::size_t j = 0; j < n; ++j) std::swap(left.at(k, j), left.at(best, j));
      for (std::size_t j = 0; j < right.columns; ++j) std::swap(right.at(k, j), right.at(best, j));
    }
    for (std::size_t i = k + 1; i < n; ++i) {
      const T factor = left.at(i, k) / left.at(k, k);
      if (factor == 0) continue;
      for (std::size_t j = k; j < n; ++j) left.at(i, j) -= factor * left.at(k, j);
      for (std::size_t j = 0; j < right.columns; ++j) right.at(i, j) -= factor * right.at(k, j);
    }
  }
  for (std::size_t k = n; k-- > 0;) {
    for (std::size_t j = 0; j < right.columns; ++j) {
      T sum = right.at(k, j);
      for (std::size_t i = k + 1; i < n; ++i) sum -= left.at(k, i) * right.at(i, j);
      right.at(k, j) = sum / left.at(k, k);
    }
  }
  return transposed(right);
}

}  // namespace ferrule::merging
