// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "ferrule/adapter.hpp"
#include "ferrule/adapter_config.hpp"
#include "update/gram.hpp"

namespace ferrule::update {

/// A product `strength * B A` that is never formed. Grouped convolutions and fused experts are
/// several products side by side, which do not overlap in the update.
struct LowRankUpdate {
  struct Block {
    VectorSet a;  ///< Rows of A.
    VectorSet b;  ///< Columns of B.
  };
  std::vector<Block> blocks;
  double strength = 1;
  /// The two factors as they are in the file.
  const AdapterTensor* a = nullptr;
  const AdapterTensor* b = nullptr;
  /// A diagonal between B and A (AdaLoRA's singular values, KaSA); may be null.
  std::shared_ptr<const std::vector<double>> diagonal;
  const AdapterTensor* diagonal_tensor = nullptr;

  bool uses(const AdapterTensor& tensor) const noexcept {
    return &tensor == a || &tensor == b || &tensor == diagonal_tensor;
  }
};

/// The module's update as a product, or nullopt if its method has none, or if it is not worth
/// reading as one (more than kMaxVectors / 2 ranks, dtypes without values).
std::optional<LowRankUpdate> low_rank_update(const AdapterConfig& config,
                                             const AdapterModule& module);

/// The same product with other factors of the same kind: as many blocks, any rank.
LowRankUpdate with_factors(const LowRankUpdate& update, const AdapterTensor& a,
                           const AdapterTensor& b, double strength);

/// True if both have one shape, whatever their ranks.
bool same_shape(const LowRankUpdate& a, const LowRankUpdate& b);

/// Squares and products of two updates a and b, in Frobenius norm.
struct UpdateProducts {
  double aa = 0;
  double bb = 0;
  double ab = 0;
  /// |a - b|^2. From differences of the factors if one of them is shared, and exact then; else
  /// aa + bb - 2 ab, of which about the last 1e-15 of aa + bb is noise.
  double distance = 0;
  /// How far the factors themselves are from each other, relative; infinite if their ranks
  /// differ.
  double factor_distance = 0;
};

/// Both must have values in both factors and one shape.
UpdateProducts compare_updates(const LowRankUpdate& a, const LowRankUpdate& b);

/// |a|^2.
double squared_norm(const LowRankUpdate& update);

enum class Factor : std::uint8_t { kA, kB };

/// |a - b|^2 if b's `shared` factor is exactly `multiple` times that of a, rows of zeros apart:
/// without cancellation, so that a single rounding in the other factor is seen.
double squared_distance(const LowRankUpdate& a, const LowRankUpdate& b, Factor shared,
                        double multiple);

}  // namespace ferrule::update
