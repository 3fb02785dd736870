// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "exchange/base_facts.hpp"

namespace ferrule::exchange {

/// The path of a module in mlx-lm's model, for one of transformers', and back. Most models are the
/// same in both.
std::string hf_to_mlx(std::string_view path, const BaseFacts& base);
std::string mlx_to_hf(std::string_view path, const BaseFacts& base);

/// Why mlx-lm cannot adapt the module: what it "..." it. Empty if it can.
std::string_view mlx_has_no_layer(std::string_view path, const BaseFacts& base);

/// The layer of mlx-lm that all experts of `experts` ("model.layers.0.mlp.experts") have for one
/// part ("gate", "up", "down").
std::string mlx_experts(std::string_view experts, std::string_view part, const BaseFacts& base);

/// What such a layer is in transformers: "model.layers.0.mlp.experts", "gate_proj".
struct MlxExperts {
  std::string experts;
  std::string leaf;
};
std::optional<MlxExperts> mlx_experts_at(std::string_view path, const BaseFacts& base);

/// By its last name ("embed_tokens", "wte").
bool is_embedding_path(std::string_view path);

/// The head is the embedding (tie_word_embeddings, or the default of that kind of model). False if
/// there is no base to ask.
bool ties_embeddings(const BaseFacts& base);

/// model_type of the base's config; "" if there is none.
std::string model_type_of(const BaseFacts& base);

}  // namespace ferrule::exchange
