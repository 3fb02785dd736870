// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "merge/method.hpp"

namespace ferrule::merging {

/// The group of each row of a weight, 0 to `groups` - 1, as AdaMSS makes them of the base instead
/// of saving them: the rows of the leading singular vectors (torch.svd_lowrank from that seed) are
/// clustered by scikit-learn's KMeans (releases 1.3 to 1.9). Clusters do not change if vectors are
/// turned or get another sign, so that they are the same with any LAPACK. nullopt if a cluster lost
/// all its rows on the way.
std::optional<std::vector<std::size_t>> row_groups(const Matrix<float>& weight, std::size_t rank,
                                                   std::size_t groups, std::uint64_t seed);

}  // namespace ferrule::merging
