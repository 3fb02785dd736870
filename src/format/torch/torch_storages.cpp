// SPDX-License-Identifier: Apache-2.0
#include "format/torch/torch_storages.hpp"

#include <utility>

#include "base/checked.hpp"
#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"

namespace ferrule::format {
namespace {

using Kind = PickleValue::Kind;

}  // namespace

Result<std::vector<TorchStorage>> StorageReader::read(bool only_some) {
  // A legacy file has no directory: what follows a storage is found by that storage's size.
  const bool may_skip = only_some && container_ == TorchContainer::kZip;
  for (const auto& id : pickle_.persistent_ids()) {
    auto read = read_storage(id);
    if (read) continue;
    if (!may_skip) return std::move(read).error();
    unreadable_.emplace(id.ref, std::move(read).error());
  }
  return std::move(storages_);
}

Result<StorageUse> StorageReader::use_of(const PickleValue& persistent) const {
  const auto bad = unreadable_.find(persistent.ref);
  if (bad != unreadable_.end()) return bad->second;
  return uses_.at(persistent.ref);
}

Result<void> StorageReader::read_storage(const PickleValue& persistent) {
  const auto& id = pickle_.node(persistent).items.front();
  const std::size_t length = container_ == TorchContainer::kZip ? 5 : 6;
  if (id.kind != Kind::kTuple || pickle_.node(id).items.size() != length) {
    return base::corrupt("PK-9", "a persistent id is " + std::string(describe(id.kind)) +
                                     "; expected a tuple of " + std::to_string(length) +
                                     " that names a storage");
  }
  const auto& items = pickle_.node(id).items;
  if (items[0].kind != Kind::kString || items[0].string() != "storage" ||
      items[1].kind != Kind::kGlobal || items[2].kind != Kind::kString ||
      items[3].kind != Kind::kString || items[4].kind != Kind::kInt) {
    return base::corrupt("PK-9",
                         "a persistent id should be ('storage', class, key, location, count)");
  }
  FERRULE_TRY(auto storage, describe_storage(items));
  const auto [known, is_new] = by_key_.try_emplace(items[2].string(), storages_.size());
  if (is_new) {
    storages_.push_back(std::move(storage));
  } else {
    const auto& before = storages_[known->second];
    if (before.dtype != storage.dtype || before.elements != storage.elements ||
        before.bytes != storage.bytes) {
      return base::corrupt("PK-14", "storage " + quote(storage.key) + " has " +
                                        std::to_string(storage.elements) + " elements of " +
                                        std::string(dtype_name(storage.dtype)) + " here and " +
                                        std::to_string(before.elements) + " of " +
                                        std::string(dtype_name(before.dtype)) + " before");
    }
  }
  StorageUse use{.storage = known->second, .bytes = storages_[known->second].bytes};
  if (length == 6) FERRULE_CHECK(apply_view(items[5], use));
  uses_.emplace(persistent.ref, use);
  return {};
}

Result<TorchStorage> StorageReader::describe_storage(const std::vector<PickleValue>& items) const {
  TorchStorage storage;
  storage.key = items[2].string();
  const auto& type = pickle_.global(items[1]);
  switch (type.facts.id) {
    case GlobalId::kStorage:
      storage.dtype = type.facts.dtype;
      break;
    case GlobalId::kUntypedStorage:
      break;
    case GlobalId::kRefusedDtype:
      return base::unsupported("PK-16", "storage " + quote(storage.key) + " is of " +
                                            std::string(type.facts.what) + " (" + quote(type.name) +
                                            ")");
    default:
      return base::corrupt("PK-9", "storage " + quote(storage.key) + " has " + quote(type.name) +
                                       " for its class, which is not a storage class");
  }
  if (storage.key.empty() || storage.key.find('\0') != std::string::npos ||
      storage.key.find('/') != std::string::npos) {
    return base::corrupt("PK-9", quote(storage.key) + " is not the key of a storage");
  }
  if (items[4].integer < 0) {
    return base::corrupt("PK-9", "storage " + quote(storage.key) + " has " +
                                     std::to_string(items[4].integer) + " elements");
  }
  storage.elements = static_cast<std::uint64_t>(items[4].integer);
  const auto bytes = base::checked_mul(storage.elements, bit_width(storage.dtype) / 8);
  if (!bytes)
    return base::corrupt("PK-9", "storage " + quote(storage.key) + " is larger than 64 bits");
  storage.bytes = *bytes;
  return storage;
}

Result<void> StorageReader::apply_view(const PickleValue& metadata, StorageUse& use) {
  if (metadata.kind == Kind::kNone) return {};
  const auto& storage = storages_[use.storage];
  const auto bad = [&storage] {
    return base::corrupt("PK-9", "storage " + quote(storage.key) +
                                     ": its view should be (key, offset, size) inside it");
  };
  if (metadata.kind != Kind::kTuple) return bad();
  const auto& items = pickle_.node(metadata).items;
  if (items.size() != 3 || items[0].kind != Kind::kString || items[1].kind != Kind::kInt ||
      items[2].kind != Kind::kInt || items[1].integer < 0 || items[2].integer < 0) {
    return bad();
  }
  const auto offset = static_cast<std::uint64_t>(items[1].integer);
  const auto size = static_cast<std::uint64_t>(items[2].integer);
  if (offset > storage.elements || size > storage.elements - offset) return bad();
  const std::uint64_t item = bit_width(storage.dtype) / 8;
  use.offset = offset * item;
  use.bytes = size * item;
  const auto [known, is_new] = views_.try_emplace(items[0].string(), use);
  if (!is_new && known->second != use) {
    return base::corrupt("PK-14", "the view " + quote(items[0].string()) + " of storage " +
                                      quote(storage.key) + " is another one than before");
  }
  return {};
}

}  // namespace ferrule::format
