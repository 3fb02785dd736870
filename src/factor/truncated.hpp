// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "factor/dense_update.hpp"
#include "factor/rank_rule.hpp"
#include "factor/sum_of_products.hpp"

namespace ferrule::factor {

/// As much of the update's decomposition as the rule needs. Small matrices are decomposed in full;
/// of large ones the leading vectors are found in a block Krylov space from a random start (of a
/// fixed seed), which grows until it promises less than 0.2 % from the error of what is kept. The
/// result does not depend on the number of threads. nullopt if a value is not finite.
std::optional<Decomposed> truncated(DenseUpdate update, const RankRule& rule, unsigned threads = 1);

}  // namespace ferrule::factor
