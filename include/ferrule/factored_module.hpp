// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ferrule {

/// A module whose update was written as a product B A of low rank: what combine(), resize(),
/// extract() and to_lora() report.
struct FactoredModule {
  /// In the base model, without `base_model.model.`.
  std::string path;
  /// The rank that was written, as the config has it; of fused experts that of each expert.
  std::uint64_t rank = 0;
  /// What was there before; 0 if it was not a product.
  std::uint64_t rank_before = 0;
  /// The Frobenius norm of the exact update.
  double norm = 0;
  /// |exact - written| / |exact|; 0 for an update of zero.
  double relative_error = 0;
  /// Singular values of the exact update, descending, as far as they were computed: all of them,
  /// unless it was cut out of a large matrix. Empty if they were not needed.
  std::vector<double> singular_values;
};

}  // namespace ferrule
