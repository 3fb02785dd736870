// SPDX-License-Identifier: Apache-2.0
#include "model/moved_modules.hpp"

#include <string_view>

namespace ferrule::model {
namespace {

struct Move {
  std::string_view family;  ///< How the model_type starts.
  std::string_view from;
  std::string_view to;
};

constexpr Move kMoves[] = {
    // transformers 5.24.
    {"inkling2", ".self_attn.q_proj", ".self_attn.q_proj.linear"},
    {"inkling2", ".self_attn.k_proj", ".self_attn.k_proj.linear"},
    {"inkling2", ".self_attn.v_proj", ".self_attn.v_proj.linear"},
    {"inkling2", ".self_attn.o_proj", ".self_attn.o_proj.linear"},
    {"inkling2", ".self_attn.gate_proj", ".self_attn.o_proj.gate_proj"},
    {"inkling2", ".self_attn.r_proj", ".self_attn.relative_position_bias.linear"},
};

}  // namespace

std::optional<std::string> moved_module(const BaseIndex& base, const std::string& path) {
  const auto* type = base.config.find("model_type");
  const auto* text = type == nullptr ? nullptr : type->if_string();
  if (text == nullptr || base.find(path + ".weight") != nullptr) return std::nullopt;
  for (const auto& [family, from, to] : kMoves) {
    if (!text->starts_with(family) || !path.ends_with(from)) continue;
    auto moved = path.substr(0, path.size() - from.size()) + std::string(to);
    if (base.find(moved + ".weight") != nullptr || base.is_packed(moved)) return moved;
  }
  return std::nullopt;
}

}  // namespace ferrule::model
