// SPDX-License-Identifier: Apache-2.0
#include "merge/low_rank_step.hpp"

#include <algorithm>
#include <type_traits>

#include "base/try.hpp"
#include "merge/kernels.hpp"

namespace ferrule::merging {
namespace {

/// Columns of A that stay in the nearest cache while rows pass by.
constexpr std::size_t kPanel = 512;

/// Elements of a dense row-major array in the order of a Strided.
template <typename T, typename Place>
void gather(const std::vector<T>& from, const Strided& at, std::size_t vectors, std::size_t length,
            Place place) {
  for (std::size_t k = 0; k < vectors; ++k) {
    const std::size_t start = at.first + k * at.vector;
    for (std::size_t i = 0; i < length; ++i) place(k, i) = from[start + i * at.element];
  }
}

/// The same out of a tensor, which is read in pieces: it may be much larger than the part wanted.
template <typename T, typename Place>
void gather(const TensorView& tensor, const Strided& at, std::size_t vectors, std::size_t length,
            Place place) {
  const std::size_t size = bit_width(tensor.dtype()) / 8;
  const auto* bytes = tensor.bytes().data();
  std::vector<T> row(at.element == 1 ? length : 0);
  for (std::size_t k = 0; k < vectors; ++k) {
    const std::size_t start = at.first + k * at.vector;
    if (at.element == 1) {
      load_numbers(tensor.dtype(), bytes + start * size, row.data(), length);
      for (std::size_t i = 0; i < length; ++i) place(k, i) = row[i];
      continue;
    }
    for (std::size_t i = 0; i < length; ++i) {
      load_numbers(tensor.dtype(), bytes + (start + i * at.element) * size, &place(k, i), 1);
    }
  }
}

void add_block(const ProductTile& whole) {
  for (std::size_t column = 0; column < whole.columns; column += kPanel) {
    auto panel = whole;
    panel.w += column;
    panel.a += column;
    panel.columns = std::min(kPanel, whole.columns - column);
    kernels().add_product(panel);
  }
}

}  // namespace

template <typename T>
Result<void> LowRankStep::fill(Numbers<T>& numbers) {
  std::vector<T> made_a, made_b;
  bool made = false;
  if constexpr (std::is_same_v<T, float>) {
    made = static_cast<bool>(narrow_maker_);
    if (made) FERRULE_CHECK(narrow_maker_(made_a, made_b));
  } else {
    made = static_cast<bool>(wide_maker_);
    if (made) FERRULE_CHECK(wide_maker_(made_a, made_b));
  }
  std::size_t rows = 0;
  for (const auto& block : blocks_) rows += block.rows;
  numbers.a.resize(blocks_.size() * rank_ * columns_);
  numbers.b.resize(rows * rank_);
  T* a = numbers.a.data();
  T* b = numbers.b.data();
  for (const auto& block : blocks_) {
    const auto into_a = [&](std::size_t k, std::size_t i) -> T& { return a[k * columns_ + i]; };
    const auto into_b = [&](std::size_t k, std::size_t i) -> T& { return b[i * rank_ + k]; };
    if (made) {
      gather(made_a, block.a, rank_, columns_, into_a);
      gather(made_b, block.b, rank_, block.rows, into_b);
    } else {
      gather<T>(block.a.tensor, block.a, rank_, columns_, into_a);
      gather<T>(block.b.tensor, block.b, rank_, block.rows, into_b);
    }
    a += rank_ * columns_;
    b += block.rows * rank_;
  }
  return {};
}

Result<void> LowRankStep::begin(bool wide) { return wide ? fill(wide_) : fill(narrow_); }

void LowRankStep::end() {
  narrow_ = {};
  wide_ = {};
}

template <typename T>
void LowRankStep::add_to(const Tile<T>& given, const Rounding& rounding) const {
  auto tile = given;
  if (tile.columns != columns_ && columns_ != 0) {
    // A stack of matrices: a row of the tile is a whole matrix.
    const auto rows = tile.columns / columns_;
    tile.first_row *= rows;
    tile.rows *= rows;
    tile.columns = columns_;
  }
  const T* a = nullptr;
  const T* b = nullptr;
  if constexpr (std::is_same_v<T, float>) {
    a = narrow_.a.data();
    b = narrow_.b.data();
  } else {
    a = wide_.a.data();
    b = wide_.b.data();
  }
  for (const auto& block : blocks_) {
    const auto first = std::max(block.first_row, tile.first_row);
    const auto end = std::min(block.first_row + block.rows, tile.first_row + tile.rows);
    if (first < end) {
      T* w = tile.values + (first - tile.first_row) * tile.columns;
      const T* of_rows = b + (first - block.first_row) * rank_;
      if constexpr (std::is_same_v<T, float>) {
        const bool rounds = delta_ == DeltaRounding::kDelta && !rounding.exact;
        add_block({.w = w,
                   .rows = end - first,
                   .columns = tile.columns,
                   .stride = tile.columns,
                   .b = of_rows,
                   .a = a,
                   .a_stride = columns_,
                   .rank = rank_,
                   .scale = static_cast<float>(scale_),
                   .divisor = static_cast<float>(divisor_),
                   .rounded = rounds ? rounding.dtype : Dtype::kF32});
      } else {
        std::vector<double> sums(tile.columns);
        for (std::size_t i = 0; i < end - first; ++i, w += tile.columns, of_rows += rank_) {
          std::fill(sums.begin(), sums.end(), 0.0);
          for (std::size_t k = 0; k < rank_; ++k) {
            const double factor = of_rows[k];
            const double* const row = a + k * columns_;
            for (std::size_t j = 0; j < tile.columns; ++j) sums[j] += factor * row[j];
          }
          for (std::size_t j = 0; j < tile.columns; ++j) w[j] += sums[j] * scale_ / divisor_;
        }
      }
    }
    a += rank_ * columns_;
    b += block.rows * rank_;
  }
}

Result<void> LowRankStep::apply(const Tile<float>& tile, const Rounding& rounding) const {
  add_to(tile, rounding);
  return {};
}

Result<void> LowRankStep::apply(const Tile<double>& tile, const Rounding& rounding) const {
  add_to(tile, rounding);
  return {};
}

}  // namespace ferrule::merging
