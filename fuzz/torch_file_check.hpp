// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>
#include <span>

#include "ferrule/torch_file.hpp"

namespace ferrule::fuzz {

/// Any bytes: refused with a rule, or a file whose every tensor can be read.
inline void check_torch_file(std::span<const std::byte> bytes) {
  OpenOptions options;
  options.limits.materialized_bytes = 1 << 20;
  const auto file = TorchFile::from_bytes(bytes, options);
  if (!file) {
    const bool named = !file.error().rule.empty() && file.error().message.size() < 8192;
    if (!named) std::abort();
    return;
  }
  unsigned sum = 0;
  for (const auto& [name, tensor] : file->tensors()) {
    if (byte_size(tensor.dtype(), tensor.shape()) != tensor.bytes().size()) std::abort();
    if (!file->find(name)) std::abort();
    for (const auto byte : tensor.bytes()) sum += std::to_integer<unsigned>(byte);
  }
  // Keeps the reads above: an address sanitizer judges them.
  if (sum == 0xffffffffU) std::abort();
}

}  // namespace ferrule::fuzz
