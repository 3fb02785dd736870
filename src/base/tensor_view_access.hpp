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

  /// The tensor at the same offset in other data: `tensor` is in data that begin at `from`.
  static TensorView moved(const TensorView& tensor, const std::byte* from,
                          const std::byte* to) noexcept {
    const auto bytes = tensor.bytes();
    const auto at = bytes.empty() ? 0 : bytes.data() - from;
    return unchecked(tensor.dtype(), tensor.shape(), {to + at, bytes.size()});
  }
};

}  // namespace ferrule
