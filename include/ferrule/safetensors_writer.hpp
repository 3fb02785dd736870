// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "ferrule/durability.hpp"
#include "ferrule/export.hpp"
#include "ferrule/result.hpp"
#include "ferrule/safetensors_file.hpp"
#include "ferrule/tensor_view.hpp"

namespace ferrule {

/// A tensor that is produced while the file is written, for content that memory need not hold.
struct TensorStream {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::vector<std::uint64_t> shape;
  /// Fills `out` with the tensor's bytes from `offset` on. Called once for each piece, in ascending
  /// order, from the writing thread.
  std::function<Result<void>(std::uint64_t offset, std::span<std::byte> out)> read;
};

/// What becomes of metadata without pairs: left out, or written as `"__metadata__":{}`.
enum class EmptyMetadata : std::uint8_t { kLeaveOut, kKeep };

/// Writes the file that safetensors' `save_file` writes for the same tensors and metadata, byte for
/// byte: tensors by descending dtype rank, then by name; header padded to 8 bytes. Metadata keys
/// are sorted (the reference has no fixed order for several). The file appears whole under `path`
/// or not at all; an existing one keeps its mode.
///
/// Fails with kInvalidArgument (duplicate names, the name `__metadata__`), kIo or kLimitExceeded (a
/// header of more than 100,000,000 bytes).
FERRULE_API Result<void> write_safetensors(const std::filesystem::path& path,
                                           std::span<const NamedTensor> tensors,
                                           const Metadata& metadata = {},
                                           Durability durability = Durability::kSafe,
                                           EmptyMetadata empty = EmptyMetadata::kLeaveOut);

/// The same from streams: memory stays at a few megabytes whatever the size of the file.
FERRULE_API Result<void> write_safetensors(const std::filesystem::path& path,
                                           std::span<const TensorStream> tensors,
                                           const Metadata& metadata = {},
                                           Durability durability = Durability::kSafe);

/// The same bytes in memory.
FERRULE_API Result<std::vector<std::byte>> serialize_safetensors(
    std::span<const NamedTensor> tensors, const Metadata& metadata = {},
    EmptyMetadata empty = EmptyMetadata::kLeaveOut);

}  // namespace ferrule
