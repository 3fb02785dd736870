// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ferrule/dtype.hpp"
#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"
#include "format/pickle/pickle.hpp"

namespace ferrule::format {

/// A storage: memory that several tensors can share.
struct TorchStorage {
  std::string key;
  Dtype dtype = Dtype::kU8;
  std::uint64_t elements = 0;
  std::uint64_t bytes = 0;
  /// Its offset in the file; filled in by the container.
  std::uint64_t file_offset = 0;
  /// Of its bytes, if the container has one.
  std::uint32_t crc32 = 0;
};

/// A tensor whose place was checked against its storage.
struct TorchTensor {
  std::string name;
  Dtype dtype = Dtype::kF32;
  /// As safetensors counts it: a packed pair of 4-bit floats is two elements.
  std::vector<std::uint64_t> shape;
  /// As torch counts it, with strides in elements of `item_bytes`.
  std::vector<std::uint64_t> stored_shape;
  std::vector<std::uint64_t> strides;
  std::uint64_t item_bytes = 1;
  std::size_t storage = 0;
  /// In the storage, in bytes.
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  bool is_contiguous = true;
};

/// What a torch file holds and where.
struct TorchLayout {
  std::vector<TorchStorage> storages;
  std::vector<TorchTensor> tensors;
  bool has_checksums = false;
  /// The state dict is that of a checkpoint of Lightning, one level down.
  bool is_lightning = false;
};

enum class TorchContainer : std::uint8_t { kZip, kLegacy };

/// Turns the values of a state dict's pickle into tensors (rules PK-9 to PK-16). Where `key` is not
/// empty, the state dict is the dictionary under that key of the root.
/// Fails with kCorrupt, kUnsupported (the message says what it is), kNotFound (no such key) or
/// kLimitExceeded.
Result<TorchLayout> read_torch_tensors(const Pickle& pickle, TorchContainer container,
                                       std::string_view key, const ReadLimits& limits);

/// Reads single tensors of a pickle that holds other things too. Parameters, and tensors that torch
/// wrote with Python attributes (PK-23), are read as the tensors that they are.
class TorchValues {
 public:
  /// `pickle` must outlive it. Storages that cannot be read only matter to a tensor that uses one.
  static Result<TorchValues> make(const Pickle& pickle, TorchContainer container,
                                  const ReadLimits& limits);
  TorchValues(TorchValues&&) noexcept;
  TorchValues& operator=(TorchValues&&) noexcept;
  ~TorchValues();

  /// Fails with kCorrupt or kUnsupported; the message goes on after the tensor's name.
  Result<TorchTensor> tensor(const PickleValue& value) const;
  /// In the order of their first use; the container fills in where they are.
  std::vector<TorchStorage>& storages() noexcept;
  const std::vector<TorchStorage>& storages() const noexcept;

 private:
  struct Rep;
  explicit TorchValues(std::unique_ptr<Rep> rep) noexcept;
  std::unique_ptr<Rep> rep_;
};

/// What the pickle is the checkpoint of and which of its keys has a state dict: text that goes on
/// after a message, empty if neither shows.
std::string offer_torch_keys(const Pickle& pickle);

}  // namespace ferrule::format
