// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ferrule/dtype.hpp"
#include "ferrule/result.hpp"
#include "ferrule/safetensors_writer.hpp"
#include "ferrule/tensor_view.hpp"
#include "io/output_file.hpp"

namespace ferrule::container {

/// A tensor about to be written. Its content is either bytes in memory (someone's, or kept alive by
/// `owner`), or produced piece by piece by `read`.
struct PlannedTensor {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::vector<std::uint64_t> shape;
  /// The content, where `read` is empty.
  std::span<const std::byte> bytes;
  /// Keeps computed bytes alive; may be null.
  std::shared_ptr<const void> owner;
  /// Fills `out` from the tensor's byte `offset` on; called in ascending order.
  std::function<Result<void>(std::uint64_t offset, std::span<std::byte> out)> read;
  /// `read` may run in any thread, at the same time as that of other tensors.
  bool is_concurrent = false;
};

using TensorPlan = std::vector<PlannedTensor>;

/// Writes the plan in the bytes of safetensors' own writer (rules in docs/rules/ST.md, writer).
Result<void> write_safetensors(io::OutputFile& out, const TensorPlan& plan,
                               std::span<const std::pair<std::string, std::string>> metadata,
                               EmptyMetadata empty_metadata = EmptyMetadata::kLeaveOut);

/// Writes the plan as the zip that torch.save makes of an ordered dict of tensors. Tensors whose
/// bytes are the same memory share a storage.
Result<void> write_torch(io::OutputFile& out, const TensorPlan& plan);

}  // namespace ferrule::container
