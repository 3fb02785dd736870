// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "ferrule/durability.hpp"

namespace ferrule {

/// What becomes of metadata without pairs: left out, or written as `"__metadata__":{}`.
enum class EmptyMetadata : std::uint8_t { kLeaveOut, kKeep };

/// How a single file of tensors is written.
struct WriteOptions {
  Durability durability = Durability::kSafe;
  /// Of a safetensors file.
  EmptyMetadata empty_metadata = EmptyMetadata::kLeaveOut;
  /// How many threads may work at once, the caller's included; 1 starts none, 0 means one for each
  /// core. Only streams that are `is_concurrent` use more than one.
  unsigned threads = 1;
};

}  // namespace ferrule
