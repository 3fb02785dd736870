// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "ferrule/dtype.hpp"
#include "ferrule/result.hpp"
#include "merge/numbers.hpp"

namespace ferrule::merging {

/// How results are rounded on the way: to `dtype` after every step as PEFT's are, or not at all.
struct Rounding {
  Dtype dtype = Dtype::kF32;
  bool exact = false;

  template <typename T>
  void round(T* values, std::size_t count) const noexcept {
    if (!exact) round_numbers(dtype, values, count);
  }
  template <typename T>
  T round(T value) const noexcept {
    round(&value, 1);
    return value;
  }
};

/// Some rows of a weight on disk, seen as a matrix: [first extent, product of the others].
template <typename T>
struct Tile {
  T* values = nullptr;          ///< [rows, columns]
  const T* original = nullptr;  ///< The same before any adapter.
  std::size_t first_row = 0;    ///< Of the whole.
  std::size_t rows = 0;
  std::size_t columns = 0;
};

/// One thing that is done to a weight: by one adapter, in its order.
class Step {
 public:
  virtual ~Step() = default;

  /// It needs all rows at once.
  virtual bool needs_all_rows() const noexcept { return false; }
  /// It looks at the weight as it was before any adapter.
  virtual bool needs_original() const noexcept { return false; }
  /// What it makes takes the place of that weight: an adapter's copy of what it was trained on.
  virtual bool makes_original() const noexcept { return false; }

  /// Before the first tile, and after the last; `wide` says that tiles are of double. Nothing else
  /// runs meanwhile.
  virtual Result<void> begin(bool wide) {
    (void)wide;
    return {};
  }
  virtual void end() {}

  /// Changes the values; several threads may, each its own tile. What comes out is rounded by the
  /// caller.
  virtual Result<void> apply(const Tile<float>& tile, const Rounding& rounding) const = 0;
  virtual Result<void> apply(const Tile<double>& tile, const Rounding& rounding) const = 0;

 protected:
  Step() = default;
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;
};

}  // namespace ferrule::merging
