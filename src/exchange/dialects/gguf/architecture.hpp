// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "exchange/base_facts.hpp"
#include "exchange/values.hpp"
#include "ferrule/result.hpp"

namespace ferrule::exchange::gguf {

/// What llama.cpp does with the rows of attention's projections. See RowChange in names_data.inc.
enum class RowChange : std::uint8_t { kNone, kPermute, kHeads, kGroups };

/// A module and its tensor, '#' for the number of the layer and '%' for that of an expert:
/// "model.layers.#.self_attn.q_proj", "blk.#.attn_q".
struct Name {
  std::string_view path;
  std::string_view tensor;
};

/// A class of transformers as llama.cpp knows it.
struct Architecture {
  std::string_view class_name;
  /// general.architecture
  std::string_view name;
  RowChange rows;
  std::span<const Name> names;
};

/// The class of the base, or what --arch names (a class, or an architecture of llama.cpp). Fails
/// with kUnsupported: EX-4 (nothing says it), EX-9 (not known).
Result<const Architecture*> architecture_of(const BaseFacts& base, std::string_view arch);
/// The first class of that general.architecture, or null.
const Architecture* architecture_named(std::string_view name);

/// "blk.3.attn_q" for a module; nullopt if llama.cpp has no tensor for it. `path` may lack the
/// beginning "model.", or have "language_model." where it has it not.
std::optional<std::string> tensor_of(const Architecture& architecture, std::string_view path);
/// The module of a tensor; of experts the path with '%' for the expert's number.
std::optional<std::string> path_of(const Architecture& architecture, std::string_view tensor);

/// Row i of llama.cpp is row order[i] of transformers. Null if rows stay. Fails with kUnsupported:
/// EX-4 (the base does not say how many heads there are), EX-9 (they do not divide the rows).
Result<RowOrder> rows_of(const Architecture& architecture, std::string_view path,
                         std::uint64_t rows, const BaseFacts& base);
/// The other direction.
RowOrder inverse(const RowOrder& order);

}  // namespace ferrule::exchange::gguf
