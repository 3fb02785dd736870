// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace ferrule::factor {

/// A dense matrix of doubles, row-major.
struct Matrix {
  Matrix() = default;
  Matrix(std::size_t row_count, std::size_t column_count)
      : rows(row_count), columns(column_count), values(row_count * column_count) {}

  double& at(std::size_t i, std::size_t j) noexcept { return values[i * columns + j]; }
  double at(std::size_t i, std::size_t j) const noexcept { return values[i * columns + j]; }
  std::span<double> row(std::size_t i) noexcept { return {values.data() + i * columns, columns}; }
  std::span<const double> row(std::size_t i) const noexcept {
    return {values.data() + i * columns, columns};
  }

  std::size_t rows = 0;
  std::size_t columns = 0;
  std::vector<double> values;
};

}  // namespace ferrule::factor
