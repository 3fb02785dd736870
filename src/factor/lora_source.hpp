// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "ferrule/adapter.hpp"
#include "ferrule/result.hpp"
#include "update/low_rank.hpp"

namespace ferrule::factor {

/// A module that a LoRA adapts.
struct LoraModule {
  const AdapterModule* module = nullptr;
  update::LowRankUpdate update;
  /// lora_B.bias, or null.
  const AdapterTensor* bias = nullptr;

  std::size_t rank() const noexcept { return update.blocks.front().a.count; }
};

/// DoRA's magnitudes normalize base and update together: a part of the update can be cut, but two
/// of them do not add up.
enum class Magnitudes { kAllowed, kRefused };

/// The modules of a LoRA whose update is strength * B A, sorted by path. Views into the adapter.
/// Fails with kUnsupported or kCorrupt (FA-1 to FA-5), and with the first error that the adapter's
/// own findings have. Up to `threads` threads (0: one for each core) look at the values.
Result<std::vector<LoraModule>> lora_modules(const Adapter& adapter, Magnitudes magnitudes,
                                             unsigned threads = 1);

/// Fails with kUnsupported (FA-3, FA-4) if the update of a LoRA is not that of its A and B alone: a
/// variant, or an initialization that changed the base.
Result<void> check_plain(const Adapter& adapter);

/// Fails with the first error among the adapter's findings.
Result<void> refuse_errors(const Adapter& adapter);

/// Fails with kCorrupt (FA-5) if a value of the tensor is not finite.
Result<void> refuse_not_finite(const Adapter& adapter, const AdapterTensor& tensor);

}  // namespace ferrule::factor
