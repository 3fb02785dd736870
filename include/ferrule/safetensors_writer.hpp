// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <vector>

#include "ferrule/export.hpp"
#include "ferrule/result.hpp"
#include "ferrule/safetensors_file.hpp"
#include "ferrule/tensor_stream.hpp"
#include "ferrule/tensor_view.hpp"
#include "ferrule/write_options.hpp"

namespace ferrule {

/// Writes the file that safetensors' `save_file` writes for the same tensors and metadata, byte for
/// byte: tensors by descending dtype rank, then by name; header padded to 8 bytes. Metadata keys
/// are sorted (the reference has no fixed order for several). The file appears whole under `path`
/// or not at all; an existing one keeps its mode.
///
/// Fails with kInvalidArgument (duplicate names, the name `__metadata__`, bytes that do not fit
/// dtype and shape), kIo or kLimitExceeded (a header of more than 100,000,000 bytes). These
/// functions may be called from any number of threads at once.
FERRULE_API Result<void> write_safetensors(const std::filesystem::path& path,
                                           std::span<const NamedTensor> tensors,
                                           const Metadata& metadata = {},
                                           const WriteOptions& options = {});

/// The same from streams: memory stays at a few megabytes whatever the size of the file. An Error
/// of TensorStream::read is passed on, and the file at `path` stays as it was.
FERRULE_API Result<void> write_safetensors(const std::filesystem::path& path,
                                           std::span<const TensorStream> tensors,
                                           const Metadata& metadata = {},
                                           const WriteOptions& options = {});

/// The same bytes in memory.
FERRULE_API Result<std::vector<std::byte>> serialize_safetensors(
    std::span<const NamedTensor> tensors, const Metadata& metadata = {},
    EmptyMetadata empty = EmptyMetadata::kLeaveOut);
FERRULE_API Result<std::vector<std::byte>> serialize_safetensors(
    std::span<const TensorStream> tensors, const Metadata& metadata = {},
    EmptyMetadata empty = EmptyMetadata::kLeaveOut);

}  // namespace ferrule
