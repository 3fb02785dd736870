// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/dtype.hpp"
#include "ferrule/result.hpp"

namespace ferrule::format {

/// A storage of a torch file about to be written.
struct TorchOutputStorage {
  /// Of the tensors that lie in it. Types younger than torch 2.1 are written without one.
  Dtype dtype = Dtype::kF32;
  std::uint64_t bytes = 0;
};

/// A tensor of a torch file about to be written. Strides are in elements; empty means contiguous.
struct TorchOutputTensor {
  std::string_view name;
  Dtype dtype = Dtype::kF32;
  /// As safetensors counts (two elements in a byte of 4-bit floats).
  std::span<const std::uint64_t> shape;
  std::span<const std::uint64_t> strides = {};
  std::size_t storage = 0;
  /// In the storage, in bytes: a whole number of elements.
  std::uint64_t offset = 0;
};

/// The pickle that Python's own pickler makes of an OrderedDict of these tensors at protocol 2, as
/// torch.save calls it. Storages get the keys "0", "1" and on, in the order of first use, which
/// must be the order of `storages`. Fails with kUnsupported for dtypes that torch has not,
/// kInvalidArgument for what torch cannot express (an odd number of 4-bit floats in a row).
/// With a `key` the pickle is that of {key: OrderedDict}.
Result<std::string> encode_torch_pickle(std::span<const TorchOutputStorage> storages,
                                        std::span<const TorchOutputTensor> tensors,
                                        std::string_view key = {});

/// Makes the bytes around the contents of a zip archive, as torch's writer makes them: payloads
/// aligned to 64 bytes, sizes in descriptors, zip64 end records.
class TorchZipEncoder {
 public:
  /// What is in front of the content of an entry of that name and size.
  std::string begin_entry(std::string_view name, std::uint64_t bytes);
  /// What is after it.
  std::string end_entry(std::uint32_t crc32);
  /// The last entry, `.data/serialization_id`, the central directory and the end records.
  std::string finish(std::string_view root);

 private:
  struct Entry {
    std::string name;
    std::uint64_t header_offset = 0;
    std::uint64_t bytes = 0;
    std::uint32_t crc32 = 0;
    bool is_wide() const noexcept;
  };
  std::vector<Entry> entries_;
  std::uint64_t offset_ = 0;
};

}  // namespace ferrule::format
