// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ferrule/dtype.hpp"
#include "ferrule/tensor_view.hpp"

namespace ferrule::merging {

/// True for the dtypes that weights are merged in: F64, F32, BF16 and F16.
bool has_numbers(Dtype dtype) noexcept;

/// `count` elements of that dtype at `from` (of any alignment) as T, exactly (F64 as float is
/// rounded).
template <typename T>
void load_numbers(Dtype dtype, const std::byte* from, T* to, std::size_t count) noexcept;

/// The same the other way, rounded once to nearest even.
template <typename T>
void store_numbers(Dtype dtype, const T* from, std::byte* to, std::size_t count) noexcept;

/// Rounds values to those of the dtype.
template <typename T>
void round_numbers(Dtype dtype, T* values, std::size_t count) noexcept;

/// All elements of a tensor whose dtype has numbers; empty for others.
template <typename T>
std::vector<T> numbers_of(const TensorView& tensor);

/// Integers of any width, as they are.
std::vector<std::int64_t> integers_of(const TensorView& tensor);

}  // namespace ferrule::merging
