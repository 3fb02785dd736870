// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"
#include "format/byte_source.hpp"
#include "format/torch/torch_tensors.hpp"

namespace ferrule::format {

/// Reads the zip that torch.save makes since 1.6: its directory, its small records and its pickle
/// (rules TZ-* and PK-*). Storages are located, not read; each has a CRC-32 to check later.
Result<TorchLayout> read_torch_archive(const ByteSource& source, std::string_view key,
                                       const ReadLimits& limits);

/// Reads what torch.save made before 1.6: five pickles in a row, then the storages (PK-17 to
/// PK-20).
Result<TorchLayout> read_torch_legacy(const ByteSource& source, std::string_view key,
                                      const ReadLimits& limits);

/// A file of torch.save that holds any object, such as a trainer's: its pickle, and its tensors
/// where a caller asks for one.
class TorchObject {
 public:
  /// Reads the zip's directory and its pickle; storages are located, not read (rules TZ-* and
  /// PK-*).
  static Result<TorchObject> read(const ByteSource& source, const ReadLimits& limits,
                                  PicklePolicy policy);

  const Pickle& pickle() const noexcept { return *pickle_; }
  Result<TorchTensor> tensor(const PickleValue& value) const { return values_->tensor(value); }
  const TorchStorage& storage(std::size_t index) const { return values_->storages()[index]; }

 private:
  TorchObject() = default;
  std::vector<std::byte> bytes_;  // The pickle's texts point into it.
  std::unique_ptr<Pickle> pickle_;
  std::optional<TorchValues> values_;
};

/// TZ-11: reads the storage and compares. Nothing to do where the container has no checksums.
Result<void> check_storage(const ByteSource& source, const TorchLayout& layout,
                           std::size_t storage);

/// The error for a storage whose bytes have another CRC-32 than the directory says.
Error wrong_checksum(std::string_view record, std::uint32_t expected, std::uint32_t found);

}  // namespace ferrule::format
