// SPDX-License-Identifier: Apache-2.0
#include "merge/simple_steps.hpp"

#include <algorithm>

namespace ferrule::merging {
namespace {

template <typename T>
void read(const TensorView& tensor, std::size_t first, std::size_t column, T* to,
          std::size_t count) {
  const std::size_t size = bit_width(tensor.dtype()) / 8;
  const auto* from = tensor.bytes().data() + first * size;
  if (column == 1) {
    load_numbers(tensor.dtype(), from, to, count);
    return;
  }
  for (std::size_t j = 0; j < count; ++j) {
    load_numbers(tensor.dtype(), from + j * column * size, to + j, 1);
  }
}

}  // namespace

template <typename T>
void ReplaceStep::put(const Tile<T>& tile) const {
  for (std::size_t i = 0; i < tile.rows; ++i) {
    read(tensor_, first_ + (tile.first_row + i) * row_, column_, tile.values + i * tile.columns,
         tile.columns);
  }
}

Result<void> ReplaceStep::apply(const Tile<float>& tile, const Rounding& /*rounding*/) const {
  put(tile);
  return {};
}
Result<void> ReplaceStep::apply(const Tile<double>& tile, const Rounding& /*rounding*/) const {
  put(tile);
  return {};
}

template <typename T>
void RowsStep::put(const Tile<T>& tile) const {
  for (std::size_t i = 0; i < indices_.size(); ++i) {
    const auto row = indices_[i];
    if (row < tile.first_row || row >= tile.first_row + tile.rows) continue;
    read(tensor_, i * tile.columns, 1, tile.values + (row - tile.first_row) * tile.columns,
         tile.columns);
  }
}

Result<void> RowsStep::apply(const Tile<float>& tile, const Rounding& /*rounding*/) const {
  put(tile);
  return {};
}
Result<void> RowsStep::apply(const Tile<double>& tile, const Rounding& /*rounding*/) const {
  put(tile);
  return {};
}

template <typename T>
void AddVectorStep::put(const Tile<T>& tile) const {
  const std::size_t count = tile.rows * tile.columns;
  std::vector<T> vector(count);
  read(vector_, tile.first_row * tile.columns, 1, vector.data(), count);
  const auto factor = static_cast<T>(factor_);
  for (std::size_t i = 0; i < count; ++i) {
    if (kind_ == Kind::kAdd) {
      tile.values[i] += vector[i] * factor;
    } else if (kind_ == Kind::kMultiply) {
      const T product = tile.values[i] * vector[i];
      tile.values[i] = factor == 1 ? product : tile.values[i] + (product - tile.values[i]) * factor;
    } else {
      tile.values[i] /= vector[i] + static_cast<T>(1e-8);
    }
  }
}

Result<void> AddVectorStep::apply(const Tile<float>& tile, const Rounding& /*rounding*/) const {
  put(tile);
  return {};
}
Result<void> AddVectorStep::apply(const Tile<double>& tile, const Rounding& /*rounding*/) const {
  put(tile);
  return {};
}

template <typename T>
Result<void> PartStep::pass(const Tile<T>& tile, const Rounding& rounding) const {
  const auto first = std::max(first_row_, tile.first_row);
  const auto end = std::min(first_row_ + rows_, tile.first_row + tile.rows);
  if (first >= end) return {};
  const auto skip = (first - tile.first_row) * tile.columns;
  return inner_->apply(
      Tile<T>{.values = tile.values + skip,
              .original = tile.original == nullptr ? nullptr : tile.original + skip,
              .first_row = first - first_row_,
              .rows = end - first,
              .columns = tile.columns},
      rounding);
}

Result<void> PartStep::apply(const Tile<float>& tile, const Rounding& rounding) const {
  return pass(tile, rounding);
}
Result<void> PartStep::apply(const Tile<double>& tile, const Rounding& rounding) const {
  return pass(tile, rounding);
}

}  // namespace ferrule::merging
