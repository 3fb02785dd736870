// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ferrule/dtype.hpp"

namespace ferrule::update {

/// What multiplying a tensor did to its values.
struct FoldResult {
  bool exact = true;             ///< Every product was a value of the dtype.
  std::uint64_t overflowed = 0;  ///< Finite values that became infinite.
  std::uint64_t vanished = 0;    ///< Values that became zero.
};

/// Multiplies the elements in place: F64 in F64; F32, BF16 and F16 in F32, rounded once to nearest
/// even. The dtype is one of these four.
FoldResult multiply(Dtype dtype, std::span<std::byte> bytes, double factor);

/// Runs of `from` bytes, each followed by zeros up to `to` bytes.
std::vector<std::byte> pad_runs(std::span<const std::byte> bytes, std::size_t from, std::size_t to);

/// Factors on A and B whose product is `strength`.
struct SplitStrength {
  double a = 1;
  double b = 1;
};

/// Half of the power of two in `strength` on A, the rest on B: A is multiplied exactly.
SplitStrength split_strength(double strength);

}  // namespace ferrule::update
