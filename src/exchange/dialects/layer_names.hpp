// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace ferrule::exchange {

/// The names of a program's own models beside those of transformers' llama and its kin.
struct LayerNames {
  using Pair = std::pair<std::string_view, std::string_view>;  ///< {transformers', the program's}

  /// In front of a layer's number: {"model.layers.", "layers."}.
  Pair layers;
  /// Behind it: {"self_attn.q_proj", "attn.q_proj"}.
  std::span<const Pair> inside;
  /// Outside of layers: {"lm_head", "output"}.
  std::span<const Pair> outside;
  /// Behind a layer's number, in front of an expert's: {"mlp.experts.", "feed_forward.experts."}.
  Pair experts = {};
  /// Behind an expert's number: {"gate_proj", "w1"}.
  std::span<const Pair> expert_parts = {};

  /// The path in transformers' names, or nullopt if the table does not have it.
  std::optional<std::string> to_transformers(std::string_view path) const;
  std::optional<std::string> from_transformers(std::string_view path) const;
};

}  // namespace ferrule::exchange
