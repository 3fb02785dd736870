// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "ferrule/diff.hpp"
#include "ferrule/tensor_view.hpp"
#include "update/low_rank.hpp"

namespace ferrule::update {

/// Squares that add up over parts, modules and adapters.
struct Squares {
  double aa = 0;
  double bb = 0;
  double ab = 0;
  double distance = 0;  ///< |a - b|^2

  void add(const Squares& other) noexcept;
  bool zero() const noexcept { return aa == 0 && bb == 0; }
};

/// Verdict and numbers of two things with those squares. Distances up to `tolerance` relative count
/// as none; `may_scale` if a multiple of a means something.
DiffMeasure measure_squares(const Squares& squares, double tolerance, bool may_scale);

/// Squares of two updates, and the relative distance within which they count as equal.
struct UpdateComparison {
  Squares squares;
  double tolerance = 0;
};
UpdateComparison compare(const LowRankUpdate& a, const LowRankUpdate& b);

/// Two tensors of one shape, element by element.
struct TensorComparison {
  bool same_bytes = false;
  /// Absent for dtypes without values.
  std::optional<Squares> squares;
  double largest_difference = 0;
  /// One rounding if the dtypes differ, else 0.
  double tolerance = 0;
};
TensorComparison compare(const TensorView& a, const TensorView& b);

/// |tensor|^2; 0 for dtypes without values.
double squared_norm(const TensorView& tensor);

bool same_shape(const TensorView& a, const TensorView& b) noexcept;

}  // namespace ferrule::update
