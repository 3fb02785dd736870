// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "exchange/base_facts.hpp"
#include "exchange/values.hpp"
#include "ferrule/result.hpp"

namespace ferrule::exchange::gguf {

/// Which rows of a module are in a tensor of llama.cpp, and in what order. Those that are called
/// query or key have the pairs of rotary embeddings next to each other.
enum class Rows : std::uint8_t {
  kSame,
  kQuery,
  kKey,
  kHeads,         ///< q, k, v of each head become all q, all k, all v.
  kGroups,        ///< The same, with several q for one k and v.
  kFirstHalf,     ///< granite's shared_mlp.input_linear: gate ...
  kSecondHalf,    ///< ... and up.
  kGroupedQuery,  ///< internlm2's wqkv: some q, one k and one v, and again.
  kGroupedKey,
  kGroupedValue,
  kPackedQuery,  ///< baichuan's W_pack: all q, all k, all v.
  kPackedKey,
  kPackedValue,
  kQkvOfQkvz,  ///< qwen3_next's in_proj_qkvz, which has them by heads of k.
  kZOfQkvz,
  kValueHeads,       ///< qwen3_5: heads of v by their number within a head of k.
  kQkvOfValueHeads,  ///< The same below q and k, which stay.
  kValueHeadColumns  ///< The same of columns.
};

/// True if the tensor has only some rows of the module.
bool is_part(Rows rows) noexcept;
/// True if columns (of A) change their order, not rows (of B).
bool is_of_columns(Rows rows) noexcept;

/// Row i of llama.cpp's tensor is row order[i] of the module's `rows` rows (or columns). Null if
/// they stay. Fails with kUnsupported: EX-4 (the base does not say how many heads there are), EX-9
/// (they do not divide the rows).
Result<RowOrder> order_of(Rows kind, std::string_view path, std::uint64_t rows,
                          const BaseFacts& base);
/// How many rows the module has, of which a tensor has `rows`. Fails as order_of() does.
Result<std::uint64_t> whole_of(Rows kind, std::string_view path, std::uint64_t rows,
                               const BaseFacts& base);
/// The other direction of an order of all rows.
RowOrder inverse(const RowOrder& order);

}  // namespace ferrule::exchange::gguf
