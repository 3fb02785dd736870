// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "check/adapter_match.hpp"

namespace ferrule::merging {

/// True if ensure_weight_tying makes PEFT adapt the embedding and the head together: it looks for
/// "embed_tokens" and "lm_head" only, and leaves embeddings of other names alone.
Result<bool> ties_embedding(const AdapterConfig& config);

/// False if the file holds an update of the head that is not that of the embedding.
bool tied_factors_agree(const checks::MatchResult& match);

}  // namespace ferrule::merging
