// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "ferrule/dtype.hpp"
#include "ferrule/tensor_view.hpp"

namespace ferrule::update {

/// True for the types whose elements can be read as doubles exactly: F64, F32, BF16 and F16.
bool has_values(Dtype dtype) noexcept;

/// Elements `first` to `first + out.size()` as doubles. The dtype must have values, and the range
/// be inside the tensor.
void read_values(const TensorView& tensor, std::size_t first, std::span<double> out) noexcept;

/// True if none is infinite or not a number.
bool all_finite(std::span<const double> values) noexcept;

/// All elements, or nullopt if the dtype has no values.
std::optional<std::vector<double>> values_of(const TensorView& tensor);

/// The largest relative error of one rounding to that type (its unit roundoff); 0 for types without
/// values.
double unit_roundoff(Dtype dtype) noexcept;

}  // namespace ferrule::update
