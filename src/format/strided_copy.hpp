// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "ferrule/result.hpp"
#include "format/byte_source.hpp"

namespace ferrule::format {

/// A tensor that is in a source with strides. Bounds were checked when it was made.
struct StridedTensor {
  std::uint64_t start = 0;  ///< Of element 0, in bytes from the start of the source.
  std::uint64_t item_bytes = 1;
  std::span<const std::uint64_t> shape;
  std::span<const std::uint64_t> strides;  ///< In elements.
};

/// Fills `out` with the bytes from `offset` on of the tensor as row-major memory would hold it.
/// Both must be whole elements. Reads the source in runs that are as long as the layout allows, so
/// that transposed tensors need no read for each element.
Result<void> copy_contiguous(const ByteSource& source, const StridedTensor& tensor,
                             std::uint64_t offset, std::span<std::byte> out);

}  // namespace ferrule::format
