// SPDX-License-Identifier: Apache-2.0
// A pickle on the reader's machine and on the scan's; what the reader takes, the scan calls
// harmless.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "format/pickle/pickle.hpp"
#include "format/torch/torch_tensors.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using ferrule::format::Pickle;
  using ferrule::format::TorchContainer;
  if (size > 65536) return 0;
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto pickle = Pickle::read(bytes);
  const auto scan = Pickle::scan(bytes);
  if (!pickle) {
    if (pickle.error().rule.empty()) std::abort();
    return 0;
  }
  if (pickle->end() > size || !scan.events.empty() || scan.failure || scan.end != pickle->end()) {
    std::abort();
  }
  for (const auto container : {TorchContainer::kZip, TorchContainer::kLegacy}) {
    const auto layout = ferrule::format::read_torch_tensors(*pickle, container, {}, {});
    if (!layout) {
      if (layout.error().rule.empty()) std::abort();
      continue;
    }
    for (const auto& tensor : layout->tensors) {
      const auto& storage = layout->storages.at(tensor.storage);
      if (tensor.is_contiguous && tensor.bytes > 0 &&
          (tensor.offset > storage.bytes || tensor.bytes > storage.bytes - tensor.offset)) {
        std::abort();
      }
    }
  }
  return 0;
}
