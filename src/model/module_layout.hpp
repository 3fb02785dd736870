// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/json.hpp"
#include "model/transformers_names.hpp"

namespace ferrule::model {

/// What a module of the live model is to PEFT, by the letters of tools/transformers_layouts.py:
/// L nn.Linear, C transformers' Conv1D, 1 2 3 convolutions, E nn.Embedding, M
/// nn.MultiheadAttention, N a norm, R a router, F and T fused experts ([experts, out, in] and
/// [experts, in, out]), W a wrapper around a layer, O anything else. Lower-case letters own no
/// parameter.
struct ModuleKind {
  char letter = '?';
  /// The Python class, where the letter alone does not name it.
  std::string_view class_name;

  bool known() const noexcept { return letter != '?'; }
};

struct LiveModule {
  std::string path;
  ModuleKind kind;
};

/// Every module of a live model of that class whose parameters have these names (sorted), sorted by
/// path: those that the class makes there, those without parameters included. Empty if the class
/// was never built. Modules that the class does not account for are left out.
std::vector<LiveModule> live_modules(const ModelClass& row, const Json& config,
                                     std::span<const std::string_view> parameters);

/// Whether a model of that class has a module of that name at its root; nullopt if the class was
/// never built.
std::optional<bool> has_child(const ModelClass& row, std::string_view name);

}  // namespace ferrule::model
