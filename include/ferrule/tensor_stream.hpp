// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ferrule/dtype.hpp"
#include "ferrule/result.hpp"

namespace ferrule {

/// A tensor about to be written. Its content is either bytes in memory (`bytes`), or made piece by
/// piece while the file is written (`read`), so that memory need not hold it.
struct TensorStream {
  std::string name = {};
  Dtype dtype = Dtype::kF32;
  std::vector<std::uint64_t> shape = {};
  /// The content, if `read` is empty: row-major, little-endian, as many bytes as dtype and shape
  /// need.
  std::span<const std::byte> bytes = {};
  /// Keeps `bytes` alive; null if the caller does.
  std::shared_ptr<const void> owner = {};
  /// Fills all of `out` with the tensor's bytes from `offset` on. Called once for each piece, in
  /// ascending order, until the tensor is complete or a call fails.
  std::function<Result<void>(std::uint64_t offset, std::span<std::byte> out)> read = {};
  /// `read` may run in any thread, at the same time as that of other tensors. A writer makes use of
  /// it only if it was given more than one thread, and only if all tensors allow it.
  bool is_concurrent = false;
};

}  // namespace ferrule
