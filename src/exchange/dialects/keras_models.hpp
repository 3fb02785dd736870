// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "exchange/dialect.hpp"
#include "exchange/rope_rows.hpp"

namespace ferrule::exchange {

enum class Kernel : std::uint8_t {
  kDense,   ///< A [in, r], B [r, out].
  kHeads,   ///< A [in, heads, r] or [heads, in, r], B [r, width].
  kOutput,  ///< A [heads, width, r], B [r, out].
};

/// Of transformers' fused modules the parts (fused_modules.hpp).
struct KerasLayer {
  std::uint64_t place;  ///< From the block's own place on.
  std::string_view path;
  std::string_view layer;  ///< As enable_lora's target_layer_names has it.
  Kernel kernel;
};

/// A backbone of keras-hub: where its first block is, and how many places each takes.
struct KerasBackbone {
  std::string_view model_type;
  /// In front of a block's number in transformers' names.
  std::string_view layers_at;
  std::uint64_t first;
  std::uint64_t step;
  bool heads_first;
  std::span<const KerasLayer> layers;
};
/// By --base, or by --arch. Fails with kUnsupported: EX-4 (nothing says it), EX-9 (unknown).
Result<const KerasBackbone*> keras_backbone_of(const Request& request);

/// Of the layer's kernel; 1 if it is not by heads.
std::uint64_t keras_heads_at(const KerasLayer& layer, const Heads& heads);

}  // namespace ferrule::exchange
