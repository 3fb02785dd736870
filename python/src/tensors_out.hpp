// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <memory>
#include <string_view>

#include "ferrule/tensor_view.hpp"

namespace ferrule::python {

enum class Framework : std::uint8_t { kTorch, kNumpy };

/// "torch" or "pt", "numpy" or "np". Raises ValueError naming the argument otherwise.
Framework framework_of(std::string_view name);

/// A tensor of that library over the bytes of `view`, which `owner` keeps alive for as long as the
/// tensor, or another that shares its memory, lives. The bytes must be our own memory (private
/// mappings, buffers): the tensor is writable. Copied if the bytes are not aligned for the dtype.
/// Needs the GIL; raises UnsupportedError naming the tensor if the library does not have the dtype,
/// ImportError if the library is not installed.
nanobind::object to_tensor(Framework framework, std::string_view name, const TensorView& view,
                           const std::shared_ptr<const void>& owner);

}  // namespace ferrule::python
