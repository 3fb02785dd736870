// SPDX-License-Identifier: Apache-2.0
#include "ferrule/tensor_view.hpp"

#include <string>

#include "base/errors.hpp"

namespace ferrule {

Result<TensorView> TensorView::make(Dtype dtype, std::span<const std::uint64_t> shape,
                                    std::span<const std::byte> bytes) {
  const auto expected = ferrule::byte_size(dtype, shape);
  if (!expected) {
    return base::invalid("the shape has no size in whole bytes below 2^64");
  }
  if (*expected != bytes.size()) {
    return base::invalid("the shape needs " + std::to_string(*expected) + " bytes, got " +
                         std::to_string(bytes.size()));
  }
  return TensorView(dtype, shape, bytes);
}

}  // namespace ferrule
