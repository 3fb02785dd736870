// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "exchange/base_facts.hpp"
#include "exchange/dialects/gguf/rows.hpp"
#include "ferrule/result.hpp"

namespace ferrule::exchange::gguf {

/// A module and its tensor, '#' for the number of the layer and '%' for that of an expert:
/// "model.layers.#.self_attn.q_proj", "blk.#.attn_q". A module that llama.cpp divides is there once
/// for each tensor.
struct Name {
  std::string_view path;
  std::string_view tensor;
  Rows rows = Rows::kSame;
};

/// A class of transformers as llama.cpp knows it.
struct Architecture {
  std::string_view class_name;
  /// general.architecture
  std::string_view name;
  std::span<const Name> names;
};

/// A tensor of a module.
struct Piece {
  std::string tensor;
  Rows rows = Rows::kSame;
};

/// The module of a tensor; of experts the path with '%' for the expert's number.
struct Place {
  std::string path;
  Rows rows = Rows::kSame;
};

/// The class of the base, or what --arch names (a class, or an architecture of llama.cpp). Fails
/// with kUnsupported: EX-4 (nothing says it), EX-9 (not known).
Result<const Architecture*> architecture_of(const BaseFacts& base, std::string_view arch);
/// The first class of that general.architecture, or null.
const Architecture* architecture_named(std::string_view name);

/// {"blk.3.attn_q"} for a module; empty if llama.cpp has no tensor for it. `path` may lack the
/// beginning "model.", or have "language_model." where it has it not.
std::vector<Piece> pieces_of(const Architecture& architecture, std::string_view path);
std::optional<Place> place_of(const Architecture& architecture, std::string_view tensor);

/// True if llama.cpp loads adapters of that tensor and computes without them.
bool is_ignored(const Architecture& architecture, std::string_view tensor);

}  // namespace ferrule::exchange::gguf
