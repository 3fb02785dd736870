// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "exchange/base_facts.hpp"

namespace ferrule::exchange {

/// The path of a module in mlx-lm's model, for one of transformers', and back. Most models are the
/// same in both.
std::string hf_to_mlx(std::string_view path, const BaseFacts& base);
std::string mlx_to_hf(std::string_view path, const BaseFacts& base);

/// By its last name ("embed_tokens", "wte").
bool is_embedding_path(std::string_view path);

/// The head is the embedding (tie_word_embeddings, or the default of that kind of model). False if
/// there is no base to ask.
bool ties_embeddings(const BaseFacts& base);

/// model_type of the base's config; "" if there is none.
std::string model_type_of(const BaseFacts& base);

}  // namespace ferrule::exchange
