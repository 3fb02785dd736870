// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "exchange/base_facts.hpp"
#include "exchange/middle.hpp"
#include "ferrule/result.hpp"

namespace ferrule::exchange {

/// Some models of transformers have q, k and v, or gate and up, in one module (phi3: qkv_proj and
/// gate_up_proj; gpt_neox, falcon: query_key_value), and other programs have them apart. Between
/// the two they are called q_proj, k_proj, v_proj, gate_proj and up_proj in the module's place:
/// "gpt_neox.layers.0.attention.k_proj".

/// In place of each fused module its parts. Rows of B are divided; A is that of all parts, as far
/// as the columns of the part's B use it. A part whose B is zero has no site, unless all are. Fails
/// with kUnsupported (EX-4, EX-9) if the base's heads are not known or not those of the adapter.
Result<std::vector<Site>> with_parts_apart(const std::vector<Site>& sites, const BaseFacts& base);

/// The other way: each part has rows of A and columns of B of its own, so that the rank is the sum.
/// Parts have one strength. Fails as above, with kCorrupt (EX-8) on rows that are not the base's,
/// and with kUnsupported (EX-3) if some parts of a module have magnitudes of DoRA and others do
/// not.
Result<void> join_parts(std::vector<Site>& sites, const BaseFacts& base);

}  // namespace ferrule::exchange
