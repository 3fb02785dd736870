// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <span>

#include "ferrule/export.hpp"
#include "ferrule/result.hpp"
#include "ferrule/tensor_stream.hpp"
#include "ferrule/tensor_view.hpp"
#include "ferrule/write_options.hpp"

namespace ferrule {

/// Writes the zip file that torch.save makes of an ordered dict of these tensors: torch 1.13 and
/// later load it, with `weights_only=True` and `mmap=True` too (float8 and unsigned integers
/// need 2.1 or later). Tensors whose bytes overlap in memory share a storage. The same tensors give
/// the same bytes. The file appears whole under `path` or not at all; an existing one keeps its
/// mode.
///
/// Fails with kInvalidArgument (duplicate names, names that are not UTF-8, bytes that do not fit
/// dtype and shape), kUnsupported (a dtype torch lacks) or kIo. May be called from any number of
/// threads at once.
FERRULE_API Result<void> write_torch_file(const std::filesystem::path& path,
                                          std::span<const NamedTensor> tensors,
                                          const WriteOptions& options = {});

/// The same from streams. Streams do not share storages.
FERRULE_API Result<void> write_torch_file(const std::filesystem::path& path,
                                          std::span<const TensorStream> tensors,
                                          const WriteOptions& options = {});

}  // namespace ferrule
