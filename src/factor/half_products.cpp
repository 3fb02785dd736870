// SPDX-License-Identifier: Apache-2.0
#include "factor/half_products.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <utility>

#include "base/float_convert.hpp"
#include "base/parallel.hpp"
#include "ferrule/call_control.hpp"

namespace ferrule::factor {
namespace {

using Halves = std::vector<std::uint16_t>;

// Rows that are worked on at a time: with the vectors they stay in the second cache.
constexpr std::size_t kPanelRows = 64;
constexpr std::size_t kPanelPairs = kPanelRows / kTileDepth;
// Columns of 16 rows that are floats at a time, in the first cache.
constexpr std::size_t kFloatColumns = 512;
// Tiles of a row that are multiplied at a time.
constexpr std::size_t kNearTiles = 16;
// Each thread takes shares of the rows, and each share has its own sums.
constexpr std::size_t kShares = 8;
// Vectors come in pairs of tiles.
constexpr std::size_t kPair = 2 * kTileRows;
constexpr std::size_t kSquare = kTileRows * kTileRows;
// Column tiles that a thread takes at a time where columns are shared out.
constexpr std::size_t kSharedTiles = 16;

/// How many units hold so many.
std::size_t units_of(std::size_t value, std::size_t unit) { return (value + unit - 1) / unit; }

/// 16 x 16 elements of four bytes.
void transpose(const void* from, void* to) {
  std::uint32_t before[kSquare];
  std::uint32_t after[kSquare];
  std::memcpy(before, from, sizeof(before));
  for (std::size_t i = 0; i < kTileRows; ++i) {
    for (std::size_t j = 0; j < kTileRows; ++j) {
      after[j * kTileRows + i] = before[i * kTileRows + j];
    }
  }
  std::memcpy(to, after, sizeof(after));
}

/// Calls work(first, last) for shares of the column tiles.
template <typename Work>
void for_column_tiles(std::size_t count, unsigned threads, const Work& work) {
  base::parallel_for(units_of(count, kSharedTiles), threads, [&](std::size_t i) {
    work(i * kSharedTiles, std::min(count, (i + 1) * kSharedTiles));
  });
}

/// The vectors as a right factor: for each 32 of them two tiles of 32 rows, and so on downwards.
Halves packed(const HalfKernels& kernels, const Block& x, unsigned threads) {
  const auto pairs = units_of(x.count, kPair);
  const auto stride = pairs * kPair;
  const auto column_tiles = units_of(x.rows, kTileDepth);
  Halves tiles(column_tiles * 2 * pairs * kTileElements);
  for_column_tiles(column_tiles, threads, [&](std::size_t first, std::size_t last) {
    std::vector<float> rows(kTileDepth * stride);
    std::uint16_t upper[kTileElements], lower[kTileElements], rest[kTileElements];
    for (auto tile = first; tile < last; ++tile) {
      const auto height = std::min(kTileDepth, x.rows - tile * kTileDepth);
      std::ranges::fill(rows, 0.0F);
      for (std::size_t i = 0; i < height; ++i) {
        std::copy_n(x.values.data() + (tile * kTileDepth + i) * x.count, x.count,
                    rows.data() + i * stride);
      }
      for (std::size_t pair = 0; pair < pairs; ++pair) {
        const float* const from = rows.data() + pair * kPair;
        kernels.split(from, stride, upper, rest);
        kernels.split(from + kTileRows * stride, stride, lower, rest);
        auto* const to = tiles.data() + (pair * column_tiles + tile) * 2 * kTileElements;
        kernels.weave(upper, lower, to, to + kTileElements);
      }
    }
  });
  return tiles;
}

}  // namespace

/// What one thread needs, for one share of the rows at a time.
class HalfMultiplier::Worker {
 public:
  Worker(const HalfKernels& kernels, const DenseUpdate& update)
      : kernels_(kernels),
        update_(update),
        column_tiles_(units_of(update.columns(), kTileDepth)),
        floats_(kTileRows * kFloatColumns),
        hi_(kPanelRows * column_tiles_ * kTileDepth),
        lo_(hi_.size()) {}

  /// Of the products with x, which is packed. `sums` are for each 16 columns and 16 vectors.
  void begin(const Halves& x, std::size_t pairs, HalfPrecision precision, bool prepares,
             float* sums) {
    x_ = x.data();
    precision_ = precision;
    prepares_ = prepares;
    width_ = pairs * kPair;
    sums_ = sums;
    y_.resize(kPanelRows * width_);
    left_.resize(2 * y_.size());
    left_rest_.resize(y_.size());
  }

  /// Rows `first` to `last` of y; returns the sum of their squares.
  double run(std::size_t first, std::size_t last, Block& y) {
    kernels_.begin();
    double squares = 0;
    for (bool adds = false; first < last; first += kPanelRows, adds = true) {
      const auto height = std::min(kPanelRows, last - first);
      if (prepares_) update_.prepare(first, height);
      for (std::size_t row = 0; row < kPanelRows; row += kTileRows) {
        squares += make(first + row, std::min(kTileRows, height - std::min(height, row)), row);
      }
      multiply();
      turn();
      for (std::size_t i = 0; i < height; ++i) {
        std::copy_n(y_.data() + i * width_, y.count, y.values.data() + (first + i) * y.count);
      }
      add_transposed(adds);
    }
    kernels_.end();
    return squares;
  }

 private:
  std::size_t tile_at(std::size_t row, std::size_t column_tile) const {
    return (row / kTileRows * column_tiles_ + column_tile) * kTileElements;
  }

  /// Tiles of 16 rows, of which `height` are the update's.
  double make(std::size_t first, std::size_t height, std::size_t row) {
    double squares = 0;
    auto at = tile_at(row, 0);
    for (std::size_t left = 0; left < update_.columns(); left += kFloatColumns) {
      const auto width = std::min(kFloatColumns, update_.columns() - left);
      if (height < kTileRows || width < kFloatColumns) std::ranges::fill(floats_, 0.0F);
      for (std::size_t i = 0; i < height; ++i) {
        update_.read(first + i, left, {floats_.data() + i * kFloatColumns, width});
      }
      for (std::size_t j = 0; j < width; j += kTileDepth, at += kTileElements) {
        squares +=
            kernels_.split(floats_.data() + j, kFloatColumns, hi_.data() + at, lo_.data() + at);
      }
    }
    return squares;
  }

  /// The panel times x, rows of x by rows that stay in the cache.
  void multiply() {
    const auto groups = width_ / kTileRows;
    for (std::size_t first = 0; first < column_tiles_; first += kNearTiles) {
      for (std::size_t row = 0; row < kPanelRows; row += 2 * kTileRows) {
        for (std::size_t group = 0; group < groups; group += 2) {
          kernels_.multiply({.a = hi_.data() + tile_at(row, first),
                             .a_row = column_tiles_ * kTileElements,
                             .a_step = kTileElements,
                             .b = x_ + (group * column_tiles_ + 2 * first) * kTileElements,
                             .b_column = kTileElements,
                             .b_step = 2 * kTileElements,
                             .count = std::min(kNearTiles, column_tiles_ - first),
                             .c = y_.data() + row * width_ + group * kTileRows,
                             .c_row = kTileRows * width_,
                             .c_column = kTileRows,
                             .c_stride = width_,
                             .adds = first > 0});
        }
      }
    }
  }

  /// The panel's vectors as left factors: for each 32 of them two tiles of 32 rows, and so on. All
  /// that twice, for both parts of D; and apart from that what rounding left of the vectors.
  void turn() {
    constexpr auto kStep = 2 * kTileElements;
    std::uint16_t hi[2][kTileElements], lo[2][kTileElements], woven[2][kTileElements];
    for (std::size_t pair = 0; pair < kPanelPairs; ++pair) {
      for (std::size_t column = 0; column < width_; column += kPair) {
        float* const from = y_.data() + pair * kTileDepth * width_ + column;
        for (std::size_t half = 0; half < 2; ++half) {
          float* const rows = from + half * kTileRows * width_;
          kernels_.split(rows, width_, hi[half], lo[half]);
          if (precision_ != HalfPrecision::kFinest) round(hi[half], rows);
        }
        const auto at = (column / kPair * kPanelPairs + pair) * kStep;
        kernels_.weave(hi[0], hi[1], woven[0], woven[1]);
        auto* const to = left_.data() + at + column / kPair * kPanelPairs * kStep;
        for (std::size_t i = 0; i < 2; ++i) transpose(woven[i], to + i * kTileElements);
        std::copy_n(to, kStep, to + kPanelPairs * kStep);
        if (precision_ != HalfPrecision::kFinest) continue;
        kernels_.weave(lo[0], lo[1], woven[0], woven[1]);
        for (std::size_t i = 0; i < 2; ++i) {
          transpose(woven[i], left_rest_.data() + at + i * kTileElements);
        }
      }
    }
  }

  void round(const std::uint16_t* tile, float* rows) const {
    for (std::size_t i = 0; i < kTileRows; ++i, rows += width_, tile += kTileDepth) {
      std::transform(tile, tile + kTileDepth, rows, base::bf16_to_float);
    }
  }

  void add_transposed(bool adds) {
    constexpr auto kStep = 2 * kTileElements;
    for (std::size_t tile = 0; tile < column_tiles_; ++tile) {
      for (std::size_t pair = 0; pair < kPanelPairs; ++pair) {
        const auto upper = tile_at(pair * kTileDepth, tile);
        const auto lower = upper + column_tiles_ * kTileElements;
        auto* to = woven_ + pair * kStep;
        kernels_.weave(hi_.data() + upper, hi_.data() + lower, to, to + kTileElements);
        to += kPanelPairs * kStep;
        kernels_.weave(lo_.data() + upper, lo_.data() + lower, to, to + kTileElements);
      }
      for (std::size_t column = 0; column < width_; column += kPair) {
        const auto at = column / kPair * kPanelPairs * kStep;
        TileProduct product{.a = left_.data() + 2 * at,
                            .a_row = kTileElements,
                            .a_step = kStep,
                            .b = woven_,
                            .b_column = kTileElements,
                            .b_step = kStep,
                            .count = 2 * kPanelPairs,
                            .c = sums_ + (tile * width_ + column) * kTileDepth,
                            .c_row = 2 * kSquare,
                            .c_column = kSquare,
                            .c_stride = kTileRows,
                            .adds = adds};
        kernels_.multiply(product);
        if (precision_ != HalfPrecision::kFinest) continue;
        product.a = left_rest_.data() + at;
        product.count = kPanelPairs;
        product.adds = true;
        kernels_.multiply(product);
      }
    }
  }

  const HalfKernels& kernels_;
  const DenseUpdate& update_;
  const std::uint16_t* x_ = nullptr;
  HalfPrecision precision_ = HalfPrecision::kFine;
  bool prepares_ = false;
  std::size_t column_tiles_;
  std::size_t width_ = 0;
  float* sums_ = nullptr;
  std::vector<float> floats_;
  Halves hi_, lo_;
  std::vector<float> y_;
  Halves left_, left_rest_;
  std::uint16_t woven_[4 * kPanelPairs * kTileElements] = {};
};

HalfMultiplier::HalfMultiplier(const HalfKernels& kernels, const DenseUpdate& update,
                               unsigned threads)
    : kernels_(kernels), update_(update), threads_(threads) {}

HalfMultiplier::~HalfMultiplier() = default;

std::unique_ptr<HalfMultiplier::Worker> HalfMultiplier::take_worker() {
  const std::lock_guard lock(mutex_);
  if (workers_.empty()) return std::make_unique<Worker>(kernels_, update_);
  auto worker = std::move(workers_.back());
  workers_.pop_back();
  return worker;
}

/// The sums of all shares as vectors.
Block HalfMultiplier::added_up(std::size_t shares, std::size_t count) const {
  const auto rows = update_.columns();
  const auto column_tiles = units_of(rows, kTileDepth);
  const auto groups = 2 * units_of(count, kPair);
  Block z(rows, count);
  for_column_tiles(column_tiles, threads_, [&](std::size_t first, std::size_t last) {
    float total[kSquare], turned[kSquare];
    for (auto at = first * 2 * groups; at < last * 2 * groups; ++at) {
      std::ranges::fill(total, 0.0F);
      for (std::size_t share = 0; share < shares; ++share) {
        const float* const from = sums_.data() + (share * column_tiles * 2 * groups + at) * kSquare;
        for (std::size_t i = 0; i < kSquare; ++i) total[i] += from[i];
      }
      transpose(total, turned);
      const auto left = std::min(count, at / 2 % groups * kTileRows);
      const auto width = std::min(kTileRows, count - left);
      const auto row = at / (2 * groups) * kTileDepth + at % 2 * kTileRows;
      for (std::size_t i = 0; i < kTileRows && row + i < rows; ++i) {
        std::copy_n(turned + i * kTileRows, width, z.values.data() + (row + i) * count + left);
      }
    }
  });
  return z;
}

HalfProducts HalfMultiplier::products(const Block& x, HalfPrecision precision) {
  const CallControl::Scope quiet(nullptr);  // These steps are not the caller's progress.
  const auto rows = update_.rows();
  const auto pairs = units_of(x.count, kPair);
  const auto right = packed(kernels_, x, threads_);
  const auto share_rows = units_of(units_of(rows, kShares), kPanelRows) * kPanelRows;
  const auto shares = units_of(rows, share_rows);
  const auto of_share = units_of(x.rows, kTileDepth) * 4 * pairs * kSquare;
  if (sums_.size() < shares * of_share) sums_ = io::ZeroedFloats(shares * of_share);
  std::vector<double> squares(shares);
  HalfProducts products{.y = Block(rows, x.count), .z = {}};
  base::parallel_for(shares, threads_, [&](std::size_t i) {
    auto worker = take_worker();
    worker->begin(right, pairs, precision, !is_prepared_, sums_.data() + i * of_share);
    const auto first = i * share_rows;
    squares[i] = worker->run(first, std::min(rows, first + share_rows), products.y);
    const std::lock_guard lock(mutex_);
    workers_.push_back(std::move(worker));
  });
  is_prepared_ = true;
  products.squared_norm = std::accumulate(squares.begin(), squares.end(), 0.0);
  products.z = added_up(shares, x.count);
  return products;
}

}  // namespace ferrule::factor
