// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <span>
#include <utility>

#include "io/zeroed_floats.hpp"

namespace ferrule::factor {

/// A large update, row-major. Its values can be left to be made, part by part, by the first product
/// that it is in: they are in the cache then.
class DenseUpdate {
 public:
  /// Fills `out` with the elements of that row from that column on.
  using Make = std::function<void(std::size_t row, std::size_t column, std::span<float> out)>;
  /// Says that the elements of these rows will be made next, all of them.
  using Prepare = std::function<void(std::size_t first, std::size_t height)>;

  DenseUpdate() = default;
  /// All zeros.
  DenseUpdate(std::size_t rows, std::size_t columns)
      : rows_(rows), columns_(columns), values_(rows * columns) {}
  DenseUpdate(std::size_t rows, std::size_t columns, Make make, Prepare prepare = {})
      : rows_(rows),
        columns_(columns),
        values_(rows * columns),
        make_(std::move(make)),
        prepare_(std::move(prepare)) {}

  std::size_t rows() const noexcept { return rows_; }
  std::size_t columns() const noexcept { return columns_; }
  float* row(std::size_t i) noexcept { return values_.data() + i * columns_; }
  const float* row(std::size_t i) const noexcept { return values_.data() + i * columns_; }

  /// False while values are to be made.
  bool is_made() const noexcept { return !make_; }
  /// Rows `first` to `first + height`, columns `left` to `left + width`. Each part once; several
  /// threads can make different ones.
  void make(std::size_t first, std::size_t height, std::size_t left, std::size_t width) {
    for (std::size_t i = first; i < first + height; ++i) make_(i, left, {row(i) + left, width});
  }
  /// The elements of a row from a column on, whether they are made or not.
  void read(std::size_t i, std::size_t column, std::span<float> out) const {
    if (make_) return make_(i, column, out);
    std::copy_n(row(i) + column, out.size(), out.begin());
  }
  void prepare(std::size_t first, std::size_t height) const {
    if (make_ && prepare_) prepare_(first, height);
  }
  /// After all parts were made.
  void set_made() noexcept { make_ = {}; }

 private:
  std::size_t rows_ = 0;
  std::size_t columns_ = 0;
  io::ZeroedFloats values_;
  Make make_;
  Prepare prepare_;
};

}  // namespace ferrule::factor
