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
/// tensor, or another that shares its memory, lives. The bytes must be memory of our own (private
/// mappings, buffers): the tensor is writable. Copied where the bytes are not aligned for the
/// dtype. Needs the GIL; raises UnsupportedError naming the tensor where the library has no such
/// dtype, ImportError where there is no such library.
nanobind::object to_tensor(Framework framework, std::string_view name, const TensorView& view,
                           const std::shared_ptr<const void>& owner);

}  // namespace ferrule::python
