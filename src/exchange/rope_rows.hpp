// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "exchange/base_facts.hpp"
#include "exchange/values.hpp"
#include "ferrule/result.hpp"

namespace ferrule::exchange {

/// Attention heads of a base, by its config.
struct Heads {
  std::uint64_t query = 0;
  std::uint64_t key_value = 0;
  /// Rows of one head.
  std::uint64_t width = 0;
};

/// num_attention_heads, num_key_value_heads and head_dim, with transformers' defaults. Fails with
/// kUnsupported (EX-4) if there is no base, or if its config does not say them; `why` ends the
/// sentence "... is needed, because".
Result<Heads> heads_of(const BaseFacts& base, std::string_view why);

/// Rotary embeddings turn pairs of a head's rows. transformers pairs row i with row i + width / 2;
/// Meta's models, torchtune's, mistral-inference's and GGUF's "llama" pair row 2i with row 2i + 1.
///
/// The order that brings `heads` heads from transformers' rows to paired ones: row i of the result
/// is row order[i] of what it is applied to.
RowOrder paired_rows(std::uint64_t heads, std::uint64_t width);
/// The same backwards.
RowOrder halved_rows(std::uint64_t heads, std::uint64_t width);

/// Puts the rows of q_proj and k_proj in the other order, and leaves those of other modules.
class RowMover {
 public:
  /// Moves nothing.
  RowMover() = default;
  /// `order` is paired_rows or halved_rows.
  RowMover(const Heads& heads, RowOrder (*order)(std::uint64_t heads, std::uint64_t width))
      : query_(order(heads.query, heads.width)), key_(order(heads.key_value, heads.width)) {}

  /// `values` have the rows of the module at `path` along their first dimension. Fails with
  /// kCorrupt (EX-8) if these are not those of the heads.
  Result<Values> move(std::string_view path, const Values& values) const;

 private:
  RowOrder query_, key_;
};

}  // namespace ferrule::exchange
