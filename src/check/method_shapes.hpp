// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/adapter.hpp"

namespace ferrule::checks {

/// What a module of the base is to the methods.
enum class LayerKind : std::uint8_t {
  kLinear,     ///< Weight [out, in].
  kConv1D,     ///< transformers' Conv1D: [in, out].
  kEmbedding,  ///< [model::entries, width].
  kConv,       ///< [out, in / groups, kernel...].
  kOther,      ///< A norm, or what is not known.
};

/// A module of the base, as far as shapes of adapters depend on it.
struct BaseLayer {
  LayerKind kind = LayerKind::kOther;
  std::vector<std::uint64_t> weight;
  /// A kLinear that may as well be a kConv1D: nothing tells which.
  bool either = false;

  std::uint64_t in() const noexcept;
  std::uint64_t out() const noexcept;
};

/// What the tensor's shape should be on that layer where it cannot be what it is: "[*, 64]", with
/// '*' for a free dimension. nullopt where it fits, or where nothing is known about that tensor.
std::optional<std::string> expected_shape(const AdapterConfig& config, const AdapterTensor& tensor,
                                          const BaseLayer& layer);

/// The same for tensors whose shapes only together say whether they fit (LoKr's factors, OFT's
/// blocks): a sentence, or nullopt.
std::optional<std::string> shapes_disagree(const AdapterConfig& config, const AdapterModule& module,
                                           const BaseLayer& layer);

/// True where the table says something about tensors of that role on that kind of layer.
bool shape_is_known(std::string_view peft_type, const AdapterTensor& tensor, LayerKind kind);

}  // namespace ferrule::checks
