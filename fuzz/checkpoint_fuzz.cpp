// SPDX-License-Identifier: Apache-2.0
// The descriptions that `ferrule rescue` reads: DCP's .metadata, and objects in a trainer's torch
// files.
#include <cstddef>
#include <cstdint>
#include <span>

#include "format/byte_source.hpp"
#include "format/pickle/pickle_view.hpp"
#include "format/torch/dcp_metadata.hpp"
#include "format/torch/torch_archive.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  if (const auto metadata = ferrule::format::read_dcp_metadata(bytes)) {
    for (const auto& tensor : metadata->tensors) {
      if (tensor.path.empty()) __builtin_trap();
      for (const auto& chunk : tensor.chunks) {
        if (chunk.sizes.size() != tensor.shape.size()) __builtin_trap();
        if (!metadata->files.contains(chunk.file)) __builtin_trap();
      }
    }
  }
  const ferrule::format::MemorySource source(bytes);
  const auto object =
      ferrule::format::TorchObject::read(source, {}, ferrule::format::PicklePolicy::kTrainer);
  if (!object) return 0;
  const ferrule::format::PickleView view(object->pickle());
  const auto pairs = view.pairs(view.root());
  for (std::size_t i = 0; i < pairs.size(); i += 2) {
    const auto tensor = object->tensor(pairs[i + 1]);
    if (!tensor) continue;
    const auto& storage = object->storage(tensor->storage);
    if (tensor->offset > storage.bytes || storage.file_offset + storage.bytes > size) {
      __builtin_trap();
    }
  }
  return 0;
}
