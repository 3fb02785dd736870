// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "ferrule/tensor_view.hpp"

namespace ferrule::update {

/// `count` vectors of `length` elements each inside one tensor: element k of vector v is at
/// `first + v * vector_stride + k * element_stride`. The dtype has values (tensor_values.hpp).
struct VectorSet {
  TensorView tensor = {};
  std::size_t count = 0;
  std::size_t length = 0;
  std::size_t first = 0;
  std::size_t vector_stride = 0;
  std::size_t element_stride = 1;
  /// A factor on each vector; empty for none.
  std::span<const double> weights = {};
};

/// The vectors `factor * set`, or with a second set the differences `factor * set - other_factor *
/// other`, the shorter set filled up with zero vectors.
struct Vectors {
  VectorSet set;
  double factor = 1;
  VectorSet other = {};
  double other_factor = 0;

  std::size_t count() const noexcept { return std::max(set.count, other.count); }
};

/// Inner products of vectors: symmetric, in double.
class Gram {
 public:
  Gram(std::size_t count, std::size_t stride) : stride_(stride), values_(count * stride) {}
  double at(std::size_t i, std::size_t j) const noexcept {
    return i <= j ? values_[i * stride_ + j] : values_[j * stride_ + i];
  }
  std::span<double> values() noexcept { return values_; }

 private:
  std::size_t stride_;
  std::vector<double> values_;
};

/// More vectors than this in one Gram are not worth it, and would cost too much memory.
inline constexpr std::size_t kMaxVectors = 4096;

/// The inner products of all vectors of all parts, which have one length; at most kMaxVectors.
/// Every element is read once. Products of F32 and shorter types are exact, sums are in double.
Gram gram_of(std::span<const Vectors> parts);

}  // namespace ferrule::update
