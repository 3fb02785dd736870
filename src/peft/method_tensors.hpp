// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ferrule/result.hpp"
#include "peft/selection.hpp"

namespace ferrule::peft {

/// What a few methods do to their tensors when PEFT saves them: AdaLoRA keeps the ranks of its
/// pattern, VB-LoRA may keep only the top-k weights, shared projections are cut to the adapter's
/// own size. For the others nothing.
Result<void> shape_method_tensors(SelectionBuilder& builder);

/// A plain 2-D slice of rows and columns (rows outermost), into memory of its own. `keep_rows` and
/// `keep_columns` are indices in ascending order.
TensorStream take_rows_and_columns(const TensorStream& tensor,
                                   const std::vector<std::uint64_t>& keep_rows,
                                   const std::vector<std::uint64_t>& keep_columns);

/// The tensor's elements as floats: F32, F16, BF16 and F64. nullopt for other dtypes.
std::optional<std::vector<float>> to_floats(Dtype dtype, std::span<const std::byte> bytes);

/// Floats as a tensor of `dtype` (one of the four), rounded to nearest even, in memory of its own.
TensorStream from_floats(std::string name, Dtype dtype, std::vector<std::uint64_t> shape,
                         std::span<const float> values);

}  // namespace ferrule::peft
