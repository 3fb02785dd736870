// SPDX-License-Identifier: Apache-2.0
#include "merge/row_wise_step.hpp"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "base/try.hpp"
#include "merge/dense.hpp"
#include "merge/kernels.hpp"

namespace ferrule::merging {
namespace {

class RowWiseStep final : public Step {
 public:
  RowWiseStep(Site site, const RowWise& method) : site_(std::move(site)), method_(method) {}

  /// Its rows are columns on disk.
  bool needs_all_rows() const noexcept override { return site_.transposed; }
  bool needs_original() const noexcept override { return method_.needs_original; }

  Result<void> begin(bool wide) override {
    if (wide) {
      FERRULE_TRY(wide_, method_.wide(site_));
    } else {
      FERRULE_TRY(narrow_, method_.narrow(site_));
    }
    return {};
  }
  void end() override {
    narrow_ = {};
    wide_ = {};
  }

  Result<void> apply(const Tile<float>& tile, const Rounding& /*rounding*/) const override {
    run(tile, narrow_);
    return {};
  }
  Result<void> apply(const Tile<double>& tile, const Rounding& /*rounding*/) const override {
    run(tile, wide_);
    return {};
  }

 private:
  template <typename T>
  Matrix<T> rows_of(const T* values, const Tile<T>& tile) const {
    Matrix<T> rows(tile.rows, tile.columns, {values, values + tile.rows * tile.columns});
    return site_.transposed ? transposed(rows) : rows;
  }

  template <typename T>
  void run(const Tile<T>& tile, const ChangeRows<T>& change) const {
    auto made = rows_of(tile.values, tile);
    if (method_.needs_original) {
      change(tile.first_row, made,
             tile.original != nullptr ? rows_of(tile.original, tile) : Matrix<T>(made));
    } else {
      change(tile.first_row, made, {});
    }
    if (site_.transposed) made = transposed(made);
    const auto weight = static_cast<T>(site_.weight);
    for (std::size_t i = 0; i < made.values.size(); ++i) {
      T& value = tile.values[i];
      value = weight == 1 ? made.values[i] : value + weight * (made.values[i] - value);
    }
  }

  Site site_;
  RowWise method_;
  ChangeRows<float> narrow_;
  ChangeRows<double> wide_;
};

}  // namespace

Matrix<float> product(const float* b, std::size_t rows, const Matrix<float>& a, double factor) {
  Matrix<float> out(rows, a.columns);
  kernels().add_product({.w = out.values.data(),
                         .rows = rows,
                         .columns = a.columns,
                         .stride = a.columns,
                         .b = b,
                         .a = a.values.data(),
                         .a_stride = a.columns,
                         .rank = a.rows,
                         .scale = static_cast<float>(factor)});
  return out;
}

Matrix<double> product(const double* b, std::size_t rows, const Matrix<double>& a, double factor) {
  auto out = multiply(Matrix<double>(rows, a.rows, {b, b + rows * a.rows}), a);
  scale(out, factor);
  return out;
}

StepMaker row_wise_maker(const Site& site, const RowWise& method) {
  return [site, method](const Place& place) -> Result<std::unique_ptr<Step>> {
    return whole_weight_step(site, std::make_unique<RowWiseStep>(site, method), place);
  };
}

}  // namespace ferrule::merging
