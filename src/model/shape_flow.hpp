// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace ferrule::model {

using Shape = std::vector<std::uint64_t>;

/// The shapes that a converter makes of its sources' tensors, one for each of `targets`; empty
/// where an operation is not followed or the tensors do not fit it. Operations are those of
/// tools/make_transformers_names.py: m (stack), c (concatenate), h (chunk) with a dimension, t
/// (transpose) with two, i (shape unchanged).
std::vector<Shape> follow_shapes(std::string_view operations,
                                 const std::vector<std::vector<Shape>>& sources,
                                 std::size_t targets);

}  // namespace ferrule::model
