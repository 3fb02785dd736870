// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ferrule/tensor_view.hpp"

namespace ferrule {

/// The way into TensorView for the library itself.
struct TensorViewAccess {
  /// For callers that have compared the size with the shape already (a validated header).
  static TensorView unchecked(Dtype dtype, std::span<const std::uint64_t> shape,
                              std::span<const std::byte> bytes) noexcept {
    return TensorView(dtype, shape, bytes);
  }
};

}  // namespace ferrule
