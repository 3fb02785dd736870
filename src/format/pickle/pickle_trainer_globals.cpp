// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <span>

#include "format/pickle/pickle_globals.hpp"

namespace ferrule::format {
namespace {

struct Name {
  std::string_view module;
  std::string_view name;
};

/// torch 2.1 to 2.13, and paths as Python 3.8 to 3.14 spell them.
constexpr Name kDcp[] = {
    {"torch.distributed.checkpoint.metadata", "Metadata"},
    {"torch.distributed.checkpoint.metadata", "MetadataIndex"},
    {"torch.distributed.checkpoint.metadata", "TensorStorageMetadata"},
    {"torch.distributed.checkpoint.metadata", "BytesStorageMetadata"},
    {"torch.distributed.checkpoint.metadata", "ChunkStorageMetadata"},
    {"torch.distributed.checkpoint.metadata", "TensorProperties"},
    {"torch.distributed.checkpoint.metadata", "StorageMeta"},
    {"torch.distributed.checkpoint.metadata", "_MEM_FORMAT_ENCODING"},
    {"torch.distributed.checkpoint.filesystem", "_StorageInfo"},
    // Megatron keeps every rank's plan in it.
    {"torch.distributed.checkpoint.planner", "SavePlan"},
    {"torch.distributed.checkpoint.planner", "WriteItem"},
    {"torch.distributed.checkpoint.planner", "WriteItemType"},
    {"torch.distributed.checkpoint.planner", "TensorWriteData"},
    {"torch.distributed.checkpoint.planner", "BytesIOWriteData"},
    {"torch.distributed._shard.sharded_tensor.metadata", "TensorProperties"},
    {"torch.distributed._shard.sharded_tensor.metadata", "MEM_FORMAT_ENCODING"},
    {"pathlib", "PosixPath"},
    {"pathlib", "PurePosixPath"},
    {"pathlib", "WindowsPath"},
    {"pathlib", "PureWindowsPath"},
    {"pathlib._local", "PosixPath"},
    {"pathlib._local", "WindowsPath"},
};

/// Each only builds a value; its arguments were checked before.
constexpr Name kTrainer[] = {
    {"pathlib", "Path"},
    {"pathlib", "PosixPath"},
    {"pathlib", "PurePosixPath"},
    {"pathlib", "WindowsPath"},
    {"pathlib", "PureWindowsPath"},
    {"pathlib._local", "PosixPath"},
    {"pathlib._local", "WindowsPath"},
    {"functools", "partial"},
    {"types", "SimpleNamespace"},
    {"types", "NoneType"},
    {"builtins", "bool"},
    {"builtins", "bytes"},
    {"builtins", "dict"},
    {"builtins", "float"},
    {"builtins", "frozenset"},
    {"builtins", "getattr"},
    {"builtins", "int"},
    {"builtins", "list"},
    {"builtins", "object"},
    {"builtins", "range"},
    {"builtins", "slice"},
    {"builtins", "str"},
    {"builtins", "tuple"},
    // As pickles of protocol 2 call them.
    {"__builtin__", "bool"},
    {"__builtin__", "bytes"},
    {"__builtin__", "dict"},
    {"__builtin__", "float"},
    {"__builtin__", "frozenset"},
    {"__builtin__", "getattr"},
    {"__builtin__", "int"},
    {"__builtin__", "list"},
    {"__builtin__", "long"},
    {"__builtin__", "object"},
    {"__builtin__", "slice"},
    {"__builtin__", "str"},
    {"__builtin__", "tuple"},
    {"__builtin__", "unicode"},
    {"__builtin__", "xrange"},
};

std::optional<GlobalFacts> find_in(std::span<const Name> names, std::string_view module,
                                   std::string_view name) noexcept {
  const bool listed = std::any_of(names.begin(), names.end(), [&](const Name& row) {
    return row.name == name && row.module == module;
  });
  if (!listed) return std::nullopt;
  return GlobalFacts{.id = GlobalId::kInert};
}

}  // namespace

std::optional<GlobalFacts> find_dcp_global(std::string_view module,
                                           std::string_view name) noexcept {
  return find_in(kDcp, module, name);
}

std::optional<GlobalFacts> find_trainer_global(std::string_view module,
                                               std::string_view name) noexcept {
  return find_in(kTrainer, module, name);
}

}  // namespace ferrule::format
