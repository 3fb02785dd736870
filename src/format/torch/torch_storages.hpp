// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ferrule/result.hpp"
#include "format/pickle/pickle.hpp"
#include "format/torch/torch_tensors.hpp"

namespace ferrule::format {

/// The part of a storage that a persistent id stands for: all of it, except in very old files.
struct StorageUse {
  std::size_t storage = 0;
  /// In bytes.
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  friend bool operator==(const StorageUse&, const StorageUse&) = default;
};

/// Reads the storages that the persistent ids of a pickle name (PK-9, PK-14):
///
///   zip      ('storage', CLASS, KEY, LOCATION, ELEMENTS)
///   legacy   ('storage', CLASS, KEY, LOCATION, ELEMENTS, VIEW)
///            VIEW is None or, before torch 0.4, (VIEW_KEY, FIRST_ELEMENT, ELEMENTS)
///
/// The same key always means the same storage.
class StorageReader {
 public:
  /// `pickle` must outlive the reader.
  StorageReader(const Pickle& pickle, TorchContainer container)
      : pickle_(pickle), container_(container) {}

  /// The storages in the order of their first ids. With `only_some`, for a part of the file, a
  /// zip's storages that cannot be read are left out. Fails with kCorrupt or kUnsupported (PK-16).
  Result<std::vector<TorchStorage>> read(bool only_some);

  /// What an id of the pickle stands for, after read(). Fails if its storage was left out.
  Result<StorageUse> use_of(const PickleValue& persistent) const;

 private:
  Result<void> read_storage(const PickleValue& persistent);
  Result<TorchStorage> describe_storage(const std::vector<PickleValue>& items) const;
  Result<void> apply_view(const PickleValue& metadata, StorageUse& use);

  const Pickle& pickle_;
  TorchContainer container_;
  std::vector<TorchStorage> storages_;
  std::unordered_map<std::string_view, std::size_t> by_key_;
  std::unordered_map<std::uint32_t, StorageUse> uses_;  // By node of the persistent id.
  /// Why others cannot be used: only a tensor that needs one is refused for it.
  std::unordered_map<std::uint32_t, Error> unreadable_;
  std::map<std::string_view, StorageUse> views_;
};

}  // namespace ferrule::format
