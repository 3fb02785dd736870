// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>

#include "factor/dense_update.hpp"
#include "factor/half_kernels.hpp"
#include "factor/sum_of_products.hpp"

namespace ferrule::factor {

/// The leading `count` singular values and vectors of an update, found by subspace iteration with
/// bfloat16 factors, a pass over the update for each step: its values are not kept. The singular
/// values and the error are computed nearly as well as with floats. nullopt if that is not precise
/// enough, because the vectors leave too little of the update, or if a value is not finite.
std::optional<Decomposed> leading_by_halves(const HalfKernels& kernels, const DenseUpdate& update,
                                            std::size_t count, unsigned threads);

}  // namespace ferrule::factor
