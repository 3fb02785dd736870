// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "factor/rank_rule.hpp"
#include "factor/sum_of_products.hpp"

namespace ferrule::factor {

/// An update that is there in full, row-major.
struct DenseUpdate {
  DenseUpdate() = default;
  DenseUpdate(std::size_t row_count, std::size_t column_count)
      : rows(row_count), columns(column_count), values(row_count * column_count) {}

  std::size_t rows = 0;
  std::size_t columns = 0;
  std::vector<float> values;
};

/// As much of the update's decomposition as the rule needs. Small matrices are decomposed in full;
/// of large ones the leading vectors are found by subspace iteration from a random start (of a
/// fixed seed), until the error of what they keep no longer falls by 0.05 %. The result does not
/// depend on the number of threads.
Decomposed truncated(const DenseUpdate& update, const RankRule& rule, unsigned threads = 1);

}  // namespace ferrule::factor
