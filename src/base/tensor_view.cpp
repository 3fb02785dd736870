// SPDX-License-Identifier: Apache-2.0
#include "ferrule/tensor_view.hpp"

#include <string>

namespace ferrule {

Result<TensorView> TensorView::make(Dtype dtype, std::span<const std::uint64_t> shape,
                                    std::span<const std::byte> bytes) {
  const auto expected = ferrule::byte_size(dtype, shape);
  if (!expected) {
    return Error{.code = ErrorCode::kInvalidArgument,
                 .message = "the shape has no size in whole bytes below 2^64"};
  }
  if (*expected != bytes.size()) {
    return Error{.code = ErrorCode::kInvalidArgument,
                 .message = "the shape needs " + std::to_string(*expected) + " bytes, got " +
                            std::to_string(bytes.size())};
  }
  return TensorView(dtype, shape, bytes);
}

}  // namespace ferrule
