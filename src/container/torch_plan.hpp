// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/dtype.hpp"
#include "ferrule/result.hpp"
#include "io/output_file.hpp"

namespace ferrule::container {

/// A torch file about to be written, storage by storage: what a TensorPlan becomes once shared
/// memory is found, and what a torch file written again starts from.
struct TorchPlan {
  struct Storage {
    Dtype dtype = Dtype::kF32;
    std::uint64_t bytes = 0;
    /// The content, if `read` is empty.
    std::span<const std::byte> memory;
    /// As TensorStream::read.
    std::function<Result<void>(std::uint64_t offset, std::span<std::byte> out)> read;
  };
  struct Tensor {
    std::string name;
    Dtype dtype = Dtype::kF32;
    std::vector<std::uint64_t> shape;
    /// In elements as torch counts them; empty if contiguous.
    std::vector<std::uint64_t> strides;
    std::size_t storage = 0;
    /// In the storage, in bytes.
    std::uint64_t offset = 0;
  };
  /// In the order in which tensors first use them.
  std::vector<Storage> storages;
  std::vector<Tensor> tensors;
};

/// Writes the archive front to back; streams are held in a small buffer. With a `key` the state
/// dict is one level down: {key: state dict}.
Result<void> write_torch(io::OutputFile& out, const TorchPlan& plan, std::string_view key = {});

}  // namespace ferrule::container
